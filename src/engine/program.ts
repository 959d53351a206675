// From a graph to a program: a list of steps over numbered slots. Everything that can be decided once is decided here.
import { FilterBasisError } from "../errors/error.js";
import { siteName } from "../graph/attributes.js";
import type { Graph, Node, TensorData } from "../graph/types.js";
import { type Host, hostOf } from "./operators/host.js";
import { type HostKernel, hostTable } from "./operators/host-table.js";
import type { OperatorName } from "./operators/names.js";
import { type Kernel, refuse, type Site } from "./operators/site.js";
import { lowerings } from "./operators/table.js";

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

const freshOperators = new Set([
  "Conv",
  "ConvTranspose",
  "BatchNormalization",
  "InstanceNormalization",
  "Add",
  "Sub",
  "Gemm",
  "MatMul",
  "Concat",
]);

/**
 * Compiles a graph.
 * @param large constants that live as tensors (parameters, statistics and whatever is too large for numbers)
 * @throws FilterBasisError `unsupported` naming node and operator, for whatever cannot be run
 */
export function compile(graph: Graph, constants: ReadonlyMap<string, TensorData>, large: ReadonlySet<string>): Program {
  const opset = graph.opsets.get("") ?? 1;
  const slots = new Map<string, number>();
  const known = new Map<number, Host>();
  let slotCount = 0;
  const define = (name: string): number => {
    if (name === "") return -1;
    slots.set(name, slotCount);
    return slotCount++;
  };
  for (const { name } of graph.inputs) define(name);
  for (const [name, data] of graph.initializers) {
    const slot = slots.get(name) ?? define(name);
    const host = large.has(name) ? undefined : hostOf(data);
    if (host !== undefined) known.set(slot, host);
  }
  const steps: Step[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => slotOf(slots, name, node));
    if (isStandard(node) && node.op === "Identity") {
      slots.set(node.outputs[0]!, inputs[0]!);
      continue;
    }
    if (isStandard(node) && node.op === "Constant") {
      const name = node.outputs[0]!;
      const slot = define(name);
      const data = constants.get(name);
      if (data === undefined) throw refuse({ node }, "a Constant without a tensor, number or list of numbers");
      const host = large.has(name) ? undefined : hostOf(data);
      if (host !== undefined) known.set(slot, host);
      continue;
    }
    const hosts = inputs.map((slot) => known.get(slot));
    const dims = node.inputs.map((name) => constants.get(name)?.dims);
    const step = lower(node, { node, opset, constants: hosts, dims });
    const folded = step.host && inputs.every((slot, i) => slot < 0 || hosts[i] !== undefined) ? step.host(hosts) : undefined;
    const outputs = node.outputs.map(define);
    if (folded !== undefined && outputs.length === 1) known.set(outputs[0]!, folded);
    else steps.push({ ...step, node, inputs, outputs, fresh: freshOperators.has(node.op) });
  }
  return { steps, slots, slotCount, known };
}

const isStandard = (node: Node): boolean => node.domain === "" || node.domain === "ai.onnx";

function slotOf(slots: ReadonlyMap<string, number>, name: string, node: Node): number {
  if (name === "") return -1;
  const slot = slots.get(name);
  if (slot !== undefined) return slot;
  throw new FilterBasisError("invalid-graph", "an input is defined nowhere before", {
    node: siteName(node),
    op: node.op,
    tensor: name,
  });
}

function lower(node: Node, site: Site): { readonly kernel: Kernel; readonly host: HostKernel | undefined } {
  const op = node.op as OperatorName;
  const lowering = isStandard(node) && Object.hasOwn(lowerings, op) ? lowerings[op] : undefined;
  const host = isStandard(node) && Object.hasOwn(hostTable, op) ? hostTable[op]?.(node, site.opset) : undefined;
  if (lowering === undefined && host === undefined) {
    const domain = isStandard(node) ? "" : ` of domain ${JSON.stringify(node.domain)}`;
    throw refuse(site, `the operator ${node.op}${domain} is not one that can be run here`);
  }
  const onTensors: Kernel = () => {
    throw refuse(site, `the operator ${node.op} is run on small constants only`);
  };
  return { kernel: lowering === undefined ? onTensors : lowering(site), host };
}

/** When values die, and which steps may write over their first input: depends on what is asked for. */
export interface Plan {
  /** Slots to free after each step. */
  readonly dead: readonly (readonly number[])[];
  readonly inPlace: readonly boolean[];
}

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
    return (
      uses === 1 && dead[at]!.includes(slot) && producer.get(slot)?.fresh === true && producer.get(slot)?.outputs[0] === slot
    );
  });
  return { dead, inPlace };
}
