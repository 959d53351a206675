// Networks of a calibration on libtorch: the interpreter runs the graph, libtorch makes the products.

import { FilterBasisError } from "../errors/error.js";
import { elementBytes } from "../graph/attributes.js";
import type { Graph, TensorData } from "../graph/types.js";
import { Network } from "../interpreter/network.js";
import { call, type Device, type DType, fromArray, noGrad, type Tensor, TensorScope } from "../torch/index.js";
import { bestLinearAlgebra, crossing } from "../torch/linalg.js";
import type { NumberArray } from "../torch/native.js";
import type { Engine, OpenGraph } from "./engine.js";
import type { Products } from "./sums.js";

/**
 * Loads libtorch with the first graph.
 * @throws FilterBasisError `engine-missing`
 */
export function torchEngine(device?: Device): Engine {
  const place = device === undefined ? {} : { device };
  return {
    name: "libtorch",
    algebra: bestLinearAlgebra(undefined, crossing),
    products: torchProducts(device),
    async open(graph) {
      return openNetwork(graph, new Network(graph, { ...place, trainable: () => false }));
    },
  };
}

function openNetwork(graph: Graph, network: Network): OpenGraph {
  const names = graph.outputs.map(({ name }) => name);
  return {
    async run(feeds) {
      const results = noGrad(() => {
        using _scope = new TensorScope();
        const given = Object.entries(feeds).map(([name, data]) => [name, toTensor(data, network.device)] as const);
        const values = network.forward(new Map(given));
        return Object.fromEntries(names.map((name) => [name, fromTensor(values.get(name)!)]));
      });
      await new Promise(setImmediate); // lets a signal through
      return results;
    },
    async close() {
      network[Symbol.dispose]();
    },
  };
}

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
} as const;

/** A copy on the device. */
export function toTensor({ type, dims, data }: TensorData, device: Device): Tensor {
  const View = arrays[type as keyof typeof arrays];
  if (View === undefined) throw new FilterBasisError("unsupported", `a tensor of type ${type} cannot be fed`);
  const bytes = data.byteOffset % elementBytes[type] === 0 ? data : Uint8Array.from(data);
  const values = new View(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / View.BYTES_PER_ELEMENT);
  return fromArray(values as NumberArray, dims, type as DType, device);
}

/** A copy as plain data. */
export function fromTensor(tensor: Tensor): TensorData {
  const values = call("contiguous", tensor).data();
  const data = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
  return { type: tensor.dtype as TensorData["type"], dims: tensor.shape, data };
}

/** Columns of a Gram matrix that are computed together: what lies above the triangle is not. */
const panel = 768;

/** float32 products of libtorch's BLAS, as doubles. */
function torchProducts(device?: Device): Products {
  return {
    addGram: (into, x, rows, cols) =>
      noGrad(() => {
        using _scope = new TensorScope();
        const inputs = fromArray(x, [rows, cols], "float32", device);
        for (let start = 0; start < cols; start += panel) addPanel(into, inputs, start, Math.min(panel, cols - start));
      }),
    cross: (y, left, x, right, rows) =>
      noGrad(() => {
        using _scope = new TensorScope();
        const inputs = fromArray(x, [rows, right], "float32", device);
        const outputs = fromArray(y, [rows, left], "float32", device);
        return call("to.dtype", call("mm", call("t", outputs), inputs), "float64").data() as Float64Array;
      }),
    project: (x, rows, f) =>
      noGrad(() => {
        using _scope = new TensorScope();
        const inputs = fromArray(x, [rows, f.cols], "float32", device);
        const filters = fromArray(Float32Array.from(f.data), [f.rows, f.cols], "float32", device);
        return call("mm", inputs, call("t", filters)).data() as Float32Array;
      }),
  };
}

/** The rows from `start` on of x^T x, up to the diagonal. */
function addPanel(into: Float64Array, inputs: Tensor, start: number, count: number): void {
  using _scope = new TensorScope();
  const width = start + count;
  const [own, before] = [call("narrow", inputs, 1, start, count), call("narrow", inputs, 1, 0, width)];
  const product = call("mm", call("t", own), before).data() as Float32Array; // [count x width]
  const cols = inputs.shape[1]!;
  for (let i = 0; i < count; i++) {
    const from = (start + i) * cols;
    for (let j = 0, at = i * width; j <= start + i; j++, at++) into[from + j] = into[from + j]! + product[at]!;
  }
}
