// From a graph to a program: a list of steps over numbered slots. Everything that can be decided once is decided here.
import { FilterBasisError } from "../errors/error.js";
import { nodeName } from "../graph/attributes.js";
import { isBasisConv } from "../graph/basis-conv.js";
import type { Graph, Node, TensorData } from "../graph/types.js";
import type { VersionedNode } from "../ops/inline.js";
import { type OperatorName, operatorOf } from "../ops/table.js";
import { basisConv } from "./operators/basis-conv.js";
import { type Host, type HostKernel, hostKernel, hostOf } from "./operators/host.js";
import { type Kernel, type LoweringContext, refuse } from "./operators/lowering.js";
import { lowerings } from "./operators/table.js";
import { isStandard } from "./parameters.js";

/** One node, ready to run. */
export interface Step {
  readonly node: Node;
  readonly kernel: Kernel;
  readonly host: HostKernel | undefined;
  /** Slots read; -1 where an input is left out. */
  readonly inputs: readonly number[];
  /** Slots written; -1 where an output is not wanted. */
  readonly outputs: readonly number[];
  /** Its result shares memory with no other value, and its gradient does not need it: the next may write over it. */
  readonly fresh: boolean;
}

export interface Program {
  readonly steps: readonly Step[];
  /** Slot of every value name. */
  readonly slots: ReadonlyMap<string, number>;
  readonly slotCount: number;
  /** Values that are known before anything runs. */
  readonly known: ReadonlyMap<number, Host>;
}

/**
 * Compiles a graph.
 * @param large constants that live as tensors (parameters, statistics and whatever is too large for numbers)
 * @param straightThrough as lowerings have it
 * @throws FilterBasisError `unsupported` naming node and operator, for whatever cannot be run
 */
export function compile(
  graph: Graph,
  nodes: readonly VersionedNode[],
  constants: ReadonlyMap<string, TensorData>,
  large: ReadonlySet<string>,
  straightThrough: boolean,
): Program {
  const slots = new Map<string, number>();
  const known = new Map<number, Host>();
  const steps: Step[] = [];
  let slotCount = 0;
  const define = (name: string): number => {
    if (name === "") return -1;
    slots.set(name, slotCount);
    return slotCount++;
  };
  const defineConstant = (name: string): void => {
    const slot = define(name);
    const host = large.has(name) ? undefined : hostOf(constants.get(name)!);
    if (host !== undefined) known.set(slot, host);
  };
  for (const { name } of graph.inputs) if (!graph.initializers.has(name)) define(name);
  for (const name of graph.initializers.keys()) defineConstant(name);
  for (const { node, opset } of nodes) {
    const inputs = node.inputs.map((name) => slotOf(slots, name, node));
    if (isStandard(node, "Identity")) {
      slots.set(node.outputs[0]!, inputs[0]!);
    } else if (isStandard(node, "Constant")) {
      if (!constants.has(node.outputs[0]!)) throw refuse({ node }, "sparse constants are not supported");
      defineConstant(node.outputs[0]!);
    } else {
      const hosts = inputs.map((slot) => known.get(slot));
      const dims = node.inputs.map((name) => constants.get(name)?.dims);
      const step = lower(node, { node, opset, constants: hosts, dims, straightThrough });
      const folded = foldable(inputs, hosts) && node.outputs.length === 1 ? step.host?.(hosts) : undefined;
      const outputs = node.outputs.map(define);
      if (folded !== undefined) known.set(outputs[0]!, folded);
      else steps.push({ ...step, node, inputs, outputs, fresh: operatorOf(node)?.overwritable === true });
    }
  }
  for (const { name } of graph.outputs) {
    if (!slots.has(name)) throw new FilterBasisError("invalid-graph", "an output is defined nowhere", { tensor: name });
  }
  return { steps, slots, slotCount, known };
}

const foldable = (inputs: readonly number[], hosts: readonly (Host | undefined)[]): boolean =>
  inputs.every((slot, i) => slot < 0 || hosts[i] !== undefined);

function slotOf(slots: ReadonlyMap<string, number>, name: string, node: Node): number {
  if (name === "") return -1;
  const slot = slots.get(name);
  if (slot !== undefined) return slot;
  throw new FilterBasisError("invalid-graph", "an input is defined nowhere before", {
    node: nodeName(node),
    op: node.op,
    tensor: name,
  });
}

function lower(
  node: Node,
  context: LoweringContext,
): { readonly kernel: Kernel; readonly host: HostKernel | undefined } {
  if (isBasisConv(node)) return { kernel: basisConv(context), host: undefined };
  const own = isStandard(node) && Object.hasOwn(lowerings, node.op) ? lowerings[node.op as OperatorName] : undefined;
  if (typeof own === "function") return { kernel: own(context), host: hostKernel(node, context.opset) };
  const domain = isStandard(node) ? "" : ` of domain ${JSON.stringify(node.domain)}`;
  const reason = own === undefined ? "" : `: ${own}`;
  throw refuse(context, `the operator ${node.op}${domain} is not one that can be run here${reason}`);
}

/** When values die, and which steps may write over their first input: depends on what is asked for. */
export interface Plan {
  /** Slots to free after each step. */
  readonly dead: readonly (readonly number[])[];
  readonly inPlace: readonly boolean[];
}

/** @param wanted slots that must outlive the run */
export function planOf(program: Program, wanted: ReadonlySet<number>): Plan {
  const last = new Map<number, number>();
  const producer = new Map<number, Step>();
  program.steps.forEach((step, at) => {
    for (const slot of step.outputs) {
      producer.set(slot, step);
      last.set(slot, at);
    }
    for (const slot of step.inputs) if (producer.has(slot)) last.set(slot, at);
  });
  const dead: number[][] = program.steps.map(() => []);
  for (const [slot, at] of last) if (slot >= 0 && !wanted.has(slot)) dead[at]!.push(slot);
  const inPlace = program.steps.map((step, at) => {
    const slot = step.inputs[0] ?? -1;
    const uses = step.inputs.filter((other) => other === slot).length;
    const made = producer.get(slot);
    return uses === 1 && made?.fresh === true && made.outputs[0] === slot && dead[at]!.includes(slot);
  });
  return { dead, inPlace };
}
