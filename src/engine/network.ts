// The interpreter: a graph that runs on libtorch, forward and under autograd.
import { FilterBasisError, isError } from "../errors/error.js";
import { siteName, tensor as tensorAttribute } from "../graph/attributes.js";
import type { Graph, TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { call, Tensor, unowned } from "./operators/aten.js";
import { Host, hostOf } from "./operators/host.js";
import type { Run, Value } from "./operators/site.js";
import { tensor, tensorFrom } from "./operators/values.js";
import { constantsOf, roles } from "./parameters.js";
import { compile, type Plan, type Program, planOf, type Step } from "./program.js";

export interface NetworkOptions {
  /** "cpu" or "cuda:0". */
  readonly device?: string;
  /** Which constants learn. `usual` says what is done without this option: weights and biases do, other constants and statistics do not. */
  readonly trainable?: (name: string, usual: boolean) => boolean;
}

export interface ForwardOptions {
  /** Batch statistics (the running ones are updated in place, as PyTorch does) and dropout. */
  readonly training?: boolean;
  /** Names of further values to return. */
  readonly keep?: readonly string[];
}

/**
 * A graph on libtorch. Constructing it checks that every operator can be run and copies the constants; float16 ones are computed in float32.
 * @throws FilterBasisError `unsupported` naming node and operator
 */
export class Network implements Disposable {
  /** Constants that learn, by initializer name (of Constant nodes: their output); each is a leaf that collects gradients. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Running statistics of batch normalisations, by initializer name. */
  readonly buffers: ReadonlyMap<string, Tensor>;
  readonly #graph: Graph;
  readonly #program: Program;
  readonly #initial: (Value | undefined)[];
  readonly #plans = new Map<string, Plan>();
  readonly #owned: Tensor[] = [];

  constructor(graph: Graph, { device = "cpu", trainable = (_, usual) => usual }: NetworkOptions = {}) {
    const constants = constantsOf(graph);
    const { parameters: usual, statistics } = roles(graph);
    const known = new Set(usual);
    const learning = new Set(
      [...usual, ...others(constants, known, statistics)].filter((name) => trainable(name, known.has(name))),
    );
    const large = new Set([...learning, ...statistics]);
    for (const [name, data] of constants) if (hostOf(data) === undefined) large.add(name);
    this.#graph = graph;
    this.#program = compile(graph, constants, large);
    this.#initial = new Array<Value | undefined>(this.#program.slotCount).fill(undefined);
    for (const [slot, host] of this.#program.known) this.#initial[slot] = host;
    const parameters = new Map<string, Tensor>();
    const buffers = new Map<string, Tensor>();
    const isStatistic = new Set(statistics);
    unowned(() => {
      for (const name of large) {
        const slot = this.#program.slots.get(name);
        if (slot === undefined) continue;
        let made = tensorFrom(constants.get(name)!);
        if (device !== "cpu") made = call("to.device", made, device, made.dtype);
        this.#owned.push(made);
        this.#initial[slot] = made;
        if (learning.has(name)) {
          made.requiresGrad = true;
          parameters.set(name, made);
        }
        if (isStatistic.has(name)) buffers.set(name, made);
      }
    });
    this.parameters = parameters;
    this.buffers = buffers;
  }

  /**
   * Runs the graph on the feeds, by input name. The outputs, and the values to keep, are new tensors of the innermost scope; float16 ones are float32.
   * Gradients are recorded unless inside `noGrad`.
   * @throws FilterBasisError `engine` naming node and operator; `usage` for a feed that is missing or unknown
   */
  forward(feeds: ReadonlyMap<string, Tensor>, { training = false, keep = [] }: ForwardOptions = {}): ReadonlyMap<string, Tensor> {
    const names = [...this.#graph.outputs.map(({ name }) => name), ...keep];
    const { steps, slots } = this.#program;
    const values = this.#initial.slice();
    this.#place(feeds, values);
    const plan = this.#planFor(keep, names);
    const run: Run = { training, inPlace: false };
    const over: Run = { training, inPlace: true };
    steps.forEach((step, at) => {
      execute(step, values, plan.inPlace[at] === true ? over : run);
      // An operator that worked in place gave its input back: then it is the output that lives on.
      const result = values[step.outputs[0]!];
      for (const slot of plan.dead[at]!) {
        const value = values[slot];
        if (value instanceof Tensor && (value !== result || slot === step.outputs[0])) value.dispose();
        values[slot] = undefined;
      }
    });
    const written = new Set(steps.flatMap((step) => step.outputs));
    return new Map(
      names.map((name) => {
        const slot = slots.get(name)!;
        const value = values[slot]!;
        return [name, value instanceof Tensor && !written.has(slot) ? call("alias", value) : tensor(value)];
      }),
    );
  }

  /** The graph with the present values of parameters and statistics, in the types in which they were stored. */
  toGraph(): Graph {
    const present = new Map<string, TensorData>();
    const constants = constantsOf(this.#graph);
    for (const [name, value] of [...this.parameters, ...this.buffers]) {
      const { type, dims, origin } = constants.get(name)!;
      const data = tensorOf(type, dims, value.data() as Float32Array | Float64Array);
      present.set(name, origin === undefined ? data : { ...data, origin });
    }
    const initializers = new Map([...this.#graph.initializers].map(([name, data]) => [name, present.get(name) ?? data]));
    const nodes = this.#graph.nodes.map((node) => {
      const data = node.op === "Constant" ? present.get(node.outputs[0]!) : undefined;
      return data === undefined ? node : { ...node, attributes: new Map(node.attributes).set("value", tensorAttribute(data)) };
    });
    return { ...this.#graph, initializers, nodes };
  }

  [Symbol.dispose](): void {
    for (const made of this.#owned) made.dispose();
  }

  #place(feeds: ReadonlyMap<string, Tensor>, values: (Value | undefined)[]): void {
    for (const { name, tensor: type } of this.#graph.inputs) {
      const feed = feeds.get(name);
      if (feed === undefined && this.#graph.initializers.has(name)) continue;
      if (feed === undefined) throw new FilterBasisError("usage", "an input is not fed", { tensor: name });
      values[this.#program.slots.get(name)!] = type?.type === "float16" ? call("to.dtype", feed, "float32") : feed;
    }
    for (const name of feeds.keys()) {
      if (!this.#graph.inputs.some((input) => input.name === name)) {
        throw new FilterBasisError("usage", "the graph has no such input", { tensor: name });
      }
    }
  }

  #planFor(keep: readonly string[], names: readonly string[]): Plan {
    const key = keep.join("\n");
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      const wanted = names.map((name) => {
        const slot = this.#program.slots.get(name);
        if (slot === undefined) throw new FilterBasisError("not-found", "the graph has no such value", { tensor: name });
        return slot;
      });
      this.#plans.set(key, (plan = planOf(this.#program, new Set(wanted))));
    }
    return plan;
  }
}

/** Float constants that usually do not learn, but may be asked to. */
function others(constants: ReadonlyMap<string, TensorData>, usual: ReadonlySet<string>, statistics: readonly string[]): string[] {
  const floating = new Set(["float32", "float16", "float64"]);
  const fixed = new Set(statistics);
  return [...constants]
    .filter(([name, { type }]) => floating.has(type) && !usual.has(name) && !fixed.has(name))
    .map(([name]) => name);
}

function execute(step: Step, values: (Value | undefined)[], run: Run): void {
  const inputs = step.inputs.map((slot) => values[slot]);
  try {
    const result = hostResult(step, inputs) ?? step.kernel(inputs, run);
    if (result instanceof Tensor || result instanceof Host) values[step.outputs[0]!] = result;
    else
      for (const [i, value] of result.entries()) {
        const slot = step.outputs[i] ?? -1;
        if (slot >= 0) values[slot] = value;
        else if (value instanceof Tensor) value.dispose();
      }
  } catch (error) {
    throw placed(error, step);
  }
}

function hostResult(step: Step, inputs: readonly (Value | undefined)[]): Host | undefined {
  if (step.host === undefined) return undefined;
  for (const input of inputs) if (input instanceof Tensor) return undefined;
  return step.host(inputs as readonly (Host | undefined)[]);
}

/** The error with node and operator; libtorch's own operator and schema stay in the cause. */
function placed(error: unknown, { node }: Step): unknown {
  if (!isError(error) || error.place.node !== undefined) return error;
  const { code, problem, got, cures } = error;
  return new FilterBasisError(code, problem, { node: siteName(node), op: node.op, cause: error, cures, ...(got && { got }) });
}
