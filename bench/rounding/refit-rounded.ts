// Two layers with nothing between them, of which the first is rounded: the second is fitted again, by least squares, to
// what it made in floats over what the rounded first layer gives it,
//   T = (C_yz + rho t W)(C_zz + rho t I)^-1,  b = E[y] - T E[z],  t = mean diag C_zz
// Of three layers in a row the second is then rounded too, and the third fitted to it.
import type { Engine } from "../../src/calibrate/engine.js";
import { activationOf, batchesOf, type CalibrationImages, samplingOf } from "../../src/calibrate/engine.js";
import { type CalibratedLayer, findCalibratedLayers } from "../../src/calibrate/layers.js";
import { samplesOf } from "../../src/calibrate/look.js";
import { openTap, typesOf } from "../../src/calibrate/segment.js";
import { addSamples, type CrossMoments, finishCross, newSums } from "../../src/calibrate/sums.js";
import { indexOf } from "../../src/graph/graph-index.js";
import type { Graph, Node, TensorData } from "../../src/graph/types.js";
import { numbers, tensorOf } from "../../src/graph/values.js";
import { matrix, transpose } from "../../src/linalg/matrix.js";
import { type FreeMap, freeMaps } from "../../src/passes/quantize/equalise.js";
import { quantizeWeight, type WeightFormat } from "../../src/passes/quantize/steps.js";

/** rho: how much the filters that were there weigh, of the mean of the diagonal. */
const rho = 1e-4;

/** The graph with rounded first layers and refitted second ones, and how many pairs there were. */
export async function refitRounded(
  graph: Graph,
  format: WeightFormat,
  images: CalibrationImages,
  engine: Engine,
): Promise<{ readonly graph: Graph; readonly pairs: number }> {
  const layers = new Map(
    findCalibratedLayers(graph).layers.flatMap((layer) => layer.nodes.map(({ node }) => [node, layer] as const)),
  );
  const all = freeMaps(graph).filter(({ second }) => layers.has(second));
  const weights = new Map<string, TensorData>();
  const branch = new Branch(graph, weights, format);
  let open = [...all];
  while (open.length > 0) {
    const ready = open.filter(({ first }) => open.every(({ second }) => second !== first));
    for (const pair of ready) branch.round(pair);
    const found = await momentsOf(branch, ready, layers, images, engine);
    for (const { second } of ready) refit(second, layers.get(second)!, found.get(second)!, { graph, weights, engine });
    open = open.filter((pair) => !ready.includes(pair));
  }
  return { graph: { ...graph, initializers: new Map([...graph.initializers, ...weights]) }, pairs: all.length };
}

/** Rounded layers beside those in floats, so that both are seen on the same inputs. */
class Branch {
  readonly #graph: Graph;
  readonly #weights: Map<string, TensorData>;
  readonly #format: WeightFormat;
  readonly #nodes: Node[] = [];
  readonly #made = new Map<string, TensorData>();

  constructor(graph: Graph, weights: Map<string, TensorData>, format: WeightFormat) {
    this.#graph = graph;
    this.#weights = weights;
    this.#format = format;
  }

  /** The value beside another. */
  static beside = (value: string): string => `${value} by rounded weights`;

  /** The first layer of a pair with rounded weights, which take the place of its own. */
  round({ first, value }: FreeMap): void {
    const [input = "", weight = "", bias = ""] = first.inputs;
    const { constant } = indexOf(this.#graph);
    const { dims, ...tensor } = this.#weights.get(weight) ?? constant(weight)!;
    const rounded = quantizeWeight(numbers({ dims, ...tensor }), dims, 0, this.#format).values;
    this.#weights.set(weight, tensorOf("float32", dims, rounded));
    const own = [weight, ...(bias === "" ? [] : [bias])];
    for (const name of own) this.#made.set(Branch.beside(name), this.#weights.get(name) ?? constant(name)!);
    const before = this.#nodes.some(({ outputs }) => outputs[0] === Branch.beside(input));
    const inputs = [before ? Branch.beside(input) : input, ...own.map(Branch.beside)];
    this.#nodes.push({ ...first, name: Branch.beside(first.name), inputs, outputs: [Branch.beside(value)] });
  }

  get graph(): Graph {
    const initializers = new Map([...this.#graph.initializers, ...this.#made]);
    const nodes = this.#graph.nodes.flatMap((node) => {
      const own = this.#nodes.find(({ outputs }) => outputs[0] === Branch.beside(node.outputs[0]!));
      return own === undefined ? [node] : [node, own];
    });
    return { ...this.#graph, nodes, initializers };
  }
}

/** Of what second layers make in floats with what they read of rounded first ones. */
async function momentsOf(
  branch: Branch,
  pairs: readonly FreeMap[],
  layers: ReadonlyMap<Node, CalibratedLayer>,
  images: CalibrationImages,
  engine: Engine,
): Promise<ReadonlyMap<Node, CrossMoments>> {
  const { graph } = branch;
  const sums = pairs.map(({ second }) => {
    const { weight } = layers.get(second)!;
    return newSums(weight.cols, weight.rows);
  });
  const wanted = pairs.flatMap(({ second, value }) => [Branch.beside(value), second.outputs[0]!]);
  const tap = await openTap(engine, graph, new Set(), wanted, typesOf(graph));
  const sampling = samplingOf(images);
  try {
    for (const [first, count] of batchesOf(images.count, sampling.batch)) {
      const values = await tap.run(await images.feeds(first, count), {});
      for (const [i, { second, value }] of pairs.entries()) {
        const [input, output] = [Branch.beside(value), second.outputs[0]!].map((name) => activationOf(values, name));
        const look = { layer: layers.get(second)!, input: input!, outputs: [output!], first };
        for (const { rows, input: x, outputs } of samplesOf(look, sampling))
          addSamples(sums[i]!, rows, x, engine.products, outputs[0]!);
      }
    }
  } finally {
    await tap.close();
  }
  return new Map(pairs.map(({ second }, i) => [second, finishCross(sums[i]!, layers.get(second)!.name)]));
}

function refit(
  second: Node,
  { weight }: CalibratedLayer,
  { covariance, cross, mean, outputMean }: CrossMoments,
  { graph, weights, engine }: { graph: Graph; weights: Map<string, TensorData>; engine: Engine },
): void {
  const d = covariance.rows;
  let trace = 0;
  for (let i = 0; i < d; i++) trace += covariance.data[i * (d + 1)]!;
  if (!(trace > 0)) return; // what it reads never changes
  const ridge = (rho * trace) / d;
  const held = matrix(d, d, Float64Array.from(covariance.data));
  for (let i = 0; i < d; i++) held.data[i * (d + 1)]! += ridge;
  const right = cross.data.map((value, i) => value + ridge * weight.data[i]!);
  const fitted = transpose(engine.algebra.solve(held, transpose(matrix(cross.rows, d, right))));
  const [, name = "", bias = ""] = second.inputs;
  weights.set(name, tensorOf("float32", indexOf(graph).constant(name)!.dims, fitted.data));
  if (bias === "") return;
  const made = engine.algebra.multiply(fitted, matrix(d, 1, mean)).data;
  weights.set(
    bias,
    tensorOf(
      "float32",
      [made.length],
      outputMean.map((value, o) => value - made[o]!),
    ),
  );
}
