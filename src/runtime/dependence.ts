// What the outputs of a graph depend on, as far as it decides how they can be compared: random operators, and steps at
// which a rounding becomes a jump.
import { nodeName, readInt } from "../graph/attributes.js";
import { bodies, feeds, reads } from "../graph/edit.js";
import { indexOf } from "../graph/graph-index.js";
import { dataTypes, type Graph, type LocalFunction, type Node, type TensorData } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import { operatorOf } from "../ops/table.js";

export interface Dependence {
  /** Nodes whose results are drawn at random, as "name (operator)". */
  readonly random: readonly string[];
  /** Outputs that depend on such, with the first of them. */
  readonly randomOutputs: ReadonlyMap<string, string>;
  /** Outputs behind a step: rounding to integers, comparisons, indices of maxima, detections. */
  readonly stepwise: ReadonlySet<string>;
  /**
   * Outputs whose values come from functions bounded by 1: their error is that of numbers near 1, however small they
   * are.
   */
  readonly bounded: ReadonlySet<string>;
}

/** What is known of one value. */
interface Taint {
  /**
   * Depends on what the inputs hold (not only on their shapes): on "whole" numbers that are exact, or on numbers that
   * are "rounded".
   */
  readonly data: "none" | "whole" | "rounded";
  readonly random: string | undefined;
  readonly stepwise: boolean;
  readonly bounded: boolean;
}

const constant: Taint = { data: "none", random: undefined, stepwise: false, bounded: false };

/** Nodes in their order, and what they can see around them. */
interface Scope {
  readonly graph: Graph;
  taint(name: string): Taint;
  /** The constant behind a name. */
  tensor(name: string): TensorData | undefined;
  /** Takes down a node that draws at random. */
  draws(node: string): void;
  readonly depth: number;
}

/** Follows the nodes in order from the inputs to the outputs. */
export function dependenceOf(graph: Graph): Dependence {
  const inputs = feeds(graph).map(({ name, tensor }): [string, Taint] => {
    const data = tensor === undefined || isFloat(tensor.type) ? "rounded" : "whole";
    return [name, { ...constant, data }];
  });
  const random: string[] = [];
  const outer: Scope = {
    graph,
    taint: () => constant,
    tensor: indexOf(graph).constant,
    draws: (node) => random.push(node),
    depth: 0,
  };
  const taint = followAll(graph.nodes, new Map(inputs), outer);
  const outputs = graph.outputs.map(({ name }) => [name, taint(name)] as const);
  return {
    random: [...new Set(random)],
    randomOutputs: new Map(outputs.flatMap(([name, { random: from }]) => (from === undefined ? [] : [[name, from]]))),
    stepwise: new Set(outputs.filter((one) => one[1].stepwise).map(([name]) => name)),
    bounded: new Set(outputs.filter((one) => one[1].bounded).map(([name]) => name)),
  };
}

function followAll(nodes: readonly Node[], own: Map<string, Taint>, outer: Scope): (name: string) => Taint {
  const scope: Scope = { ...outer, taint: (name) => own.get(name) ?? outer.taint(name) };
  for (const node of nodes) {
    const taint = follow(node, scope);
    for (const output of node.outputs) if (output !== "") own.set(output, taint);
  }
  return scope.taint;
}

function follow(node: Node, scope: Scope): Taint {
  const inner = followInside(node, scope);
  if (inner !== undefined) return inner;
  const operator = operatorOf(node);
  if (operator?.readsShape) return constant;
  const read = [...reads(node)].map(scope.taint);
  const all = union(read);
  const whole = all.data === "whole" && (castTo(node) === "whole" || operator?.exact !== undefined);
  const data = all.data === "none" ? "none" : whole ? "whole" : "rounded";
  const drawn = drawsAtRandom(node, scope) ? label(node) : undefined;
  if (drawn !== undefined) scope.draws(drawn);
  return {
    data: drawn === undefined ? data : "rounded",
    random: drawn ?? all.random,
    stepwise: all.stepwise || (all.data === "rounded" && (operator?.stepwise === true || castTo(node) === "whole")),
    bounded: isBounded(node, scope),
  };
}

/**
 * Bodies of If, Loop and Scan, and functions of the model: every output of the node depends on all that its bodies
 * make.
 */
function followInside(node: Node, scope: Scope): Taint | undefined {
  const called = functionOf(node, scope.graph);
  const inner = [...bodies(node), ...(called === undefined ? [] : [called])];
  if (inner.length === 0 || scope.depth > 16) return undefined; // functions cannot call themselves
  const given = node.inputs.map(scope.taint);
  const all = union([...reads(node)].map(scope.taint));
  const made = inner.flatMap((body) => {
    const names = body.inputs.map((input) => (typeof input === "string" ? input : input.name));
    const own = new Map(names.map((name, i) => [name, body === called ? (given[i] ?? constant) : all]));
    const constants = "initializers" in body ? indexOf(body).constant : () => undefined;
    const tensor = (name: string) => constants(name) ?? scope.tensor(name);
    const taint = followAll(body.nodes, own, { ...scope, tensor, depth: scope.depth + 1 });
    return body.outputs.map((output) => taint(typeof output === "string" ? output : output.name));
  });
  // What decides which body runs, or how often, is a condition.
  const condition = called === undefined ? [scope.taint(node.inputs[0] ?? ""), scope.taint(node.inputs[1] ?? "")] : [];
  return union([...made, ...condition.map((taint) => ({ ...taint, bounded: true }))]);
}

function union(taints: readonly Taint[]): Taint {
  const some = (data: Taint["data"]): boolean => taints.some((taint) => taint.data === data);
  return {
    data: some("rounded") ? "rounded" : some("whole") ? "whole" : "none",
    random: taints.find(({ random }) => random !== undefined)?.random,
    stepwise: taints.some(({ stepwise }) => stepwise),
    bounded: taints.length > 0 && taints.every(({ bounded }) => bounded),
  };
}

function isBounded(node: Node, { taint }: Scope): boolean {
  const bounded = operatorOf(node)?.bounded;
  if (bounded === undefined || bounded === "always") return bounded !== undefined;
  return (bounded === "all" ? node.inputs : node.inputs.slice(0, 1)).every((name) => taint(name).bounded);
}

const label = (node: Node): string => `${nodeName(node)} (${node.op})`;

function drawsAtRandom(node: Node, { tensor }: Scope): boolean {
  const random = operatorOf(node)?.random;
  return random !== undefined && (random.draws?.(node, tensor) ?? true);
}

/** Of a Cast, whether it makes whole numbers (or flags). */
function castTo(node: Node): "whole" | "rounded" | undefined {
  if (node.op !== "Cast" || node.domain !== "") return undefined;
  return /^(u?int|bool)/.test(dataTypes[readInt(node, "to", 1) - 1] ?? "") ? "whole" : "rounded";
}

const functionOf = ({ domain, op, overload = "" }: Node, { functions = [] }: Graph): LocalFunction | undefined =>
  functions.find((one) => one.domain === domain && one.name === op && one.overload === overload);
