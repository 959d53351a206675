// The interpreter: a graph that runs on libtorch, forward and under autograd.
import { FilterBasisError } from "../errors/error.js";
import { tensor as tensorAttribute } from "../graph/attributes.js";
import type { Graph, TensorData } from "../graph/types.js";
import { tensorOf } from "../graph/values.js";
import { inlined } from "../ops/inline.js";
import { type Device, defaultDevice } from "../torch/device.js";
import { execute } from "./execute.js";
import { call, onDevice, release, Tensor, unowned } from "./operators/aten.js";
import { hostOf } from "./operators/host.js";
import type { Value } from "./operators/lowering.js";
import { engineType, tensor, tensorFrom } from "./operators/values.js";
import { constantsOf, isStandard, roles } from "./parameters.js";
import { compile, type Plan, type Program, planOf } from "./program.js";

export interface NetworkOptions {
  /** Where constants lie and operators run; feeds must lie there too. Default: the processor. */
  readonly device?: Device;
  /**
   * Which constants are trained. `usual` says what is done without this option: weights and biases do, other constants
   * do not.
   */
  readonly trainable?: (name: string, usual: boolean) => boolean;
  /**
   * While training, QuantizeLinear passes gradients on as if it did not round (a straight-through estimator), but none
   * of what it cuts off. Default: rounding has no gradient.
   */
  readonly straightThrough?: boolean;
}

export interface ForwardOptions {
  /** Batch statistics (the running ones are updated in place, as PyTorch does) and dropout. */
  readonly training?: boolean;
  /** Names of further values to return. */
  readonly keep?: readonly string[];
}

/**
 * A graph on libtorch. Constructing it checks that every operator can be run and copies the constants; float16 is
 * computed in float32.
 * @throws FilterBasisError `unsupported` naming node and operator, before anything runs
 * @example
 * ```ts
 * import { backward, call, fromArray, loadModel, manualSeed, Network, noGrad, TensorScope } from "filterbasis";
 *
 * using network = new Network(await loadModel("model.onnx"));
 * using scope = new TensorScope();
 * manualSeed(1);
 * const feeds = new Map([["input", fromArray(new Float32Array(2 * 3 * 32 * 32), [2, 3, 32, 32])]]);
 * console.log(noGrad(() => network.forward(feeds)).keys());
 * const [scores] = network.forward(feeds).values();
 * backward(call("sum", scores));
 * for (const [name, { grad }] of network.parameters) console.log(name, grad?.shape);
 * ```
 */
export class Network implements Disposable {
  /**
   * Constants that are trained, by initializer name (of Constant nodes: their output); each is a leaf that collects
   * gradients.
   */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Running statistics of batch normalisations, by initializer name. */
  readonly buffers: ReadonlyMap<string, Tensor>;
  /** Where it runs. */
  readonly device: Device;
  readonly #graph: Graph;
  readonly #constants: ReadonlyMap<string, TensorData>;
  readonly #program: Program;
  /** Slots as they are before anything runs: constants. */
  readonly #initial: readonly (Value | undefined)[];
  /** Slots that steps write. */
  readonly #computed: ReadonlySet<number>;
  readonly #plans = new Map<string, Plan>();

  constructor(graph: Graph, options: NetworkOptions = {}) {
    const { device = defaultDevice, trainable = (_, usual) => usual, straightThrough = false } = options;
    checkPorts(graph);
    const versioned = inlined(graph);
    const nodes = versioned.map(({ node }) => node);
    const constants = constantsOf(graph.initializers, nodes);
    const { parameters: usual, statistics } = roles(nodes, constants, graph.initializers);
    // What a function holds cannot be written back: it is not trained.
    const own = constantsOf(graph.initializers, graph.nodes);
    const trained = trainableNames(own, usual, statistics, trainable);
    const large = new Set([...trained, ...statistics]);
    for (const [name, data] of constants) if (hostOf(data) === undefined) large.add(name);
    this.#graph = graph;
    this.device = device;
    this.#constants = own;
    this.#program = compile(graph, versioned, constants, large, straightThrough);
    this.#computed = new Set(this.#program.steps.flatMap((step) => step.outputs));
    const initial = new Array<Value | undefined>(this.#program.slotCount).fill(undefined);
    for (const [slot, host] of this.#program.known) initial[slot] = host;
    const made = unowned(() => onDevice(device, () => this.#makeTensors(large, constants, initial)));
    this.#initial = initial;
    this.parameters = new Map([...made].filter(([name]) => trained.has(name)));
    this.buffers = new Map([...made].filter(([name]) => statistics.includes(name)));
    for (const parameter of this.parameters.values()) parameter.requiresGrad = true;
  }

  /**
   * Runs the graph on the feeds, by input name. The outputs, and the values to keep, are new tensors of the innermost
   * scope; float16 ones are float32. Gradients are recorded unless inside `noGrad`.
   * @throws FilterBasisError naming node and operator: `engine` where libtorch refuses, `shape-mismatch`, `too-large`;
   * `usage` for a feed that is missing or unknown
   */
  forward(
    feeds: ReadonlyMap<string, Tensor>,
    { training = false, keep = [] }: ForwardOptions = {},
  ): ReadonlyMap<string, Tensor> {
    const names = [...this.#graph.outputs.map(({ name }) => name), ...keep];
    const plan = this.#planFor(keep, names);
    const values = this.#initial.slice();
    this.#place(feeds, values);
    return onDevice(this.device, () => {
      execute(this.#program.steps, plan, values, training);
      return new Map(
        names.map((name) => {
          const slot = this.#program.slots.get(name)!;
          const value = values[slot];
          // Constants and feeds are not handed out themselves: the receiver may dispose what it gets.
          return [name, value instanceof Tensor && this.#computed.has(slot) ? value : call("alias", tensor(value))];
        }),
      );
    });
  }

  /** The graph with the present values of parameters and statistics, in the types in which they were stored. */
  toGraph(): Graph {
    const present = new Map<string, TensorData>();
    for (const [name, value] of [...this.parameters, ...this.buffers]) {
      const { type, dims, origin } = this.#constants.get(name)!;
      const data = tensorOf(type, dims, value.data() as Float32Array | Float64Array);
      present.set(name, origin === undefined ? data : { ...data, origin });
    }
    const initializers = new Map(
      [...this.#graph.initializers].map(([name, data]) => [name, present.get(name) ?? data]),
    );
    const nodes = this.#graph.nodes.map((node) => {
      const data = isStandard(node, "Constant") ? present.get(node.outputs[0]!) : undefined;
      return data === undefined ? node : { ...node, attributes: new Map([["value", tensorAttribute(data)]]) };
    });
    return { ...this.#graph, initializers, nodes };
  }

  /** Gives the constants' memory back. */
  [Symbol.dispose](): void {
    for (const value of this.#initial) {
      if (value instanceof Tensor) value.dispose();
      else if (value !== undefined) release(value);
    }
  }

  #makeTensors(
    names: ReadonlySet<string>,
    constants: ReadonlyMap<string, TensorData>,
    initial: (Value | undefined)[],
  ): ReadonlyMap<string, Tensor> {
    const used = new Set(this.#program.steps.flatMap((step) => step.inputs));
    for (const { name } of this.#graph.outputs) used.add(this.#program.slots.get(name)!);
    const made = new Map<string, Tensor>();
    for (const name of names) {
      const slot = this.#program.slots.get(name);
      if (slot === undefined || !used.has(slot)) continue;
      const tensor = tensorFrom(constants.get(name)!, name);
      initial[slot] = tensor;
      made.set(name, tensor);
    }
    return made;
  }

  #place(feeds: ReadonlyMap<string, Tensor>, values: (Value | undefined)[]): void {
    let placed = 0;
    for (const { name, tensor: type } of this.#graph.inputs) {
      if (this.#graph.initializers.has(name)) continue;
      const feed = feeds.get(name);
      if (feed === undefined) throw new FilterBasisError("usage", "an input is not fed", { tensor: name });
      values[this.#program.slots.get(name)!] = type?.type === "float16" ? call("to.dtype", feed, "float32") : feed;
      placed++;
    }
    if (placed === feeds.size) return;
    const inputs = new Set(
      this.#graph.inputs.map(({ name }) => name).filter((name) => !this.#graph.initializers.has(name)),
    );
    const unknown = [...feeds.keys()].find((name) => !inputs.has(name));
    throw new FilterBasisError("usage", "the graph has no such input, or a constant for it", { tensor: unknown ?? "" });
  }

  #planFor(keep: readonly string[], names: readonly string[]): Plan {
    const key = JSON.stringify(keep);
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      const wanted = names.map((name) => {
        const slot = this.#program.slots.get(name);
        if (slot === undefined)
          throw new FilterBasisError("not-found", "the graph has no such value", { tensor: name });
        return slot;
      });
      this.#plans.set(key, (plan = planOf(this.#program, new Set(wanted))));
    }
    return plan;
  }
}

/** Inputs must be tensors of a type that libtorch has. */
function checkPorts(graph: Graph): void {
  for (const { name, tensor } of graph.inputs) {
    if (graph.initializers.has(name) || (tensor !== undefined && engineType(tensor.type) !== undefined)) continue;
    const got = tensor === undefined ? "no tensor" : tensor.type;
    throw new FilterBasisError("unsupported", "an input has a type that cannot be run here", { tensor: name, got });
  }
}

/** The names that are trained: of the float constants that are no statistics, those that `trainable` accepts. */
function trainableNames(
  constants: ReadonlyMap<string, TensorData>,
  usual: readonly string[],
  statistics: readonly string[],
  trainable: (name: string, usual: boolean) => boolean,
): ReadonlySet<string> {
  const floating = new Set(["float32", "float16", "float64"]);
  const first = usual.filter((name) => constants.has(name));
  const no = new Set([...first, ...statistics]);
  const others = [...constants].filter(([name, { type }]) => floating.has(type) && !no.has(name)).map(([name]) => name);
  return new Set([
    ...first.filter((name) => trainable(name, true)),
    ...others.filter((name) => trainable(name, false)),
  ]);
}
