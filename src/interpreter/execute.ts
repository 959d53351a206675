// Running a program's steps one after another over the slots.
import { FilterBasisError, isError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import { TensorScope } from "../torch/scope.js";
import { Tensor } from "./operators/aten.js";
import { Host } from "./operators/host.js";
import type { Run, Value } from "./operators/lowering.js";
import type { Plan, Step } from "./program.js";

/**
 * Runs the steps; every value is freed after its last reader. `values` holds constants and feeds, and afterwards what
 * the plan keeps.
 */
export function execute(steps: readonly Step[], plan: Plan, values: (Value | undefined)[], training: boolean): void {
  const beside: Run = { training, inPlace: false };
  const over: Run = { training, inPlace: true };
  for (let at = 0; at < steps.length; at++) {
    const step = steps[at]!;
    const result = runStep(step, values, plan.inPlace[at] === true ? over : beside);
    for (const slot of plan.dead[at]!) {
      const value = values[slot];
      values[slot] = undefined;
      // An operator that worked in place gave its input back: that lives on as the output.
      if (value instanceof Tensor && (value !== result || values[step.outputs[0]!] !== result)) value.dispose();
    }
  }
}

/** Runs one step and gives its first result. */
function runStep(step: Step, values: (Value | undefined)[], run: Run): Value | undefined {
  const inputs: (Value | undefined)[] = [];
  for (const slot of step.inputs) inputs.push(values[slot]);
  let result: Value | readonly Value[];
  try {
    result = onHost(step, inputs) ?? inScope(() => step.kernel(inputs, run));
  } catch (error) {
    throw placed(error, step);
  }
  if (result instanceof Tensor || result instanceof Host) {
    values[step.outputs[0]!] = result;
    return result;
  }
  for (const [i, value] of result.entries()) {
    const slot = step.outputs[i] ?? -1;
    if (slot >= 0) values[slot] = value;
    else if (value instanceof Tensor) value.dispose();
  }
  return result[0];
}

/** What an operator makes on its way goes with it: of rounding to eight bits and back that is ten times its result. */
function inScope(run: () => Value | readonly Value[]): Value | readonly Value[] {
  using scope = new TensorScope();
  const result = run();
  const values = result instanceof Tensor || result instanceof Host ? [result] : result;
  for (const value of values) if (value instanceof Tensor) scope.keep(value);
  return result;
}

function onHost(step: Step, inputs: readonly (Value | undefined)[]): Host | undefined {
  if (step.host === undefined) return undefined;
  for (const input of inputs) if (input instanceof Tensor) return undefined;
  return step.host(inputs as readonly (Host | undefined)[]);
}

/** The error with node and operator; libtorch's own operator and schema stay in the cause. */
function placed(error: unknown, { node }: Step): unknown {
  if (!isError(error) || error.place.node !== undefined) return error;
  const { code, problem, got, expected, cures } = error;
  const details = { node: nodeName(node), op: node.op, cause: error, cures, ...(got && { got }) };
  return new FilterBasisError(code, problem, code === "engine" || !expected ? details : { ...details, expected });
}
