// The graph as plain readonly data, close to ONNX. Functions make new graphs; nothing here is ever changed in place.

/** Element types, named as in ONNX but in one spelling; the order is that of its TensorProto.DataType, from 1. */
export const dataTypes = [
  "float32",
  "uint8",
  "int8",
  "uint16",
  "int16",
  "int32",
  "int64",
  "string",
  "bool",
  "float16",
  "float64",
  "uint32",
  "uint64",
  "complex64",
  "complex128",
  "bfloat16",
  "float8e4m3fn",
  "float8e4m3fnuz",
  "float8e5m2",
  "float8e5m2fnuz",
  "uint4",
  "int4",
  "float4e2m1",
  "float8e8m0",
  "uint2",
  "int2",
] as const;

export type DataType = (typeof dataTypes)[number];

/** What the file format keeps beside a part (doc strings, unknown fields); only the layer that read it looks inside. */
export type Origin = unknown;

/**
 * A constant tensor. `data` is little-endian, row-major, tightly packed (4-bit types: two to a byte); often a view on a
 * file's bytes.
 */
export interface TensorData {
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly data: Uint8Array;
  /** Only for type "string": the elements as bytes; `data` is then empty. */
  readonly strings?: readonly Uint8Array[];
  readonly origin?: Origin;
}

/** A size: known, a symbol or expression over symbols ("N", "2*H"), or null where nothing is known. */
export type Dim = number | string | null;

export interface ValueType {
  readonly type: DataType;
  /** Absent: not even the rank is known. */
  readonly dims?: readonly Dim[];
}

/**
 * A constant of which only some elements are given: `values` [k] at `indices` [k] (into the flattened tensor) or [k,
 * rank].
 */
export interface SparseTensorData {
  readonly dims: readonly number[];
  readonly values: TensorData;
  readonly indices: TensorData;
  readonly origin?: Origin;
}

/**
 * An input, output or intermediate value. `tensor` is absent for untyped values and for sequences, maps and optionals
 * (see `origin`).
 */
export interface Value {
  readonly name: string;
  readonly tensor?: ValueType;
  readonly origin?: Origin;
}

export type Attribute =
  | { readonly kind: "int"; readonly value: bigint }
  | { readonly kind: "ints"; readonly value: readonly bigint[] }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "string"; readonly value: Uint8Array }
  | { readonly kind: "strings"; readonly value: readonly Uint8Array[] }
  | { readonly kind: "tensor"; readonly value: TensorData }
  | { readonly kind: "tensors"; readonly value: readonly TensorData[] }
  | { readonly kind: "graph"; readonly value: GraphBody }
  | { readonly kind: "graphs"; readonly value: readonly GraphBody[] }
  /** Inside a function: the name of the function's attribute that stands here. */
  | { readonly kind: "reference"; readonly value: string; readonly origin: Origin }
  /** Sparse tensors, type protos and whatever comes later: carried, not understood. */
  | { readonly kind: "other"; readonly origin: Origin };

/** One operator call. An empty string among inputs or outputs means "left out", as in ONNX. */
export interface Node {
  readonly op: string;
  /** "" is the standard ONNX domain ("ai.onnx" is read as ""). */
  readonly domain: string;
  /** Which of several local functions of one name is called; absent nearly always. */
  readonly overload?: string;
  /** May be empty and need not be unique. */
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
  readonly origin?: Origin;
}

/** What a model's main graph and the bodies of If, Loop and Scan have in common. */
export interface GraphBody {
  readonly name: string;
  /** In topological order. */
  readonly nodes: readonly Node[];
  /** Constants by name, in file order. */
  readonly initializers: ReadonlyMap<string, TensorData>;
  /** Absent where there are none, which is nearly always. */
  readonly sparseInitializers?: ReadonlyMap<string, SparseTensorData>;
  /** As in the file: old models list their initializers here too (see `feeds`). */
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** Types of intermediate values, where known. */
  readonly values: ReadonlyMap<string, Value>;
  readonly origin?: Origin;
}

/** An operator that the model itself defines by nodes. */
export interface LocalFunction {
  readonly domain: string;
  readonly name: string;
  /** Tells functions of the same domain and name apart; "" nearly always. */
  readonly overload: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names of attributes that a caller must give. */
  readonly attributes: readonly string[];
  /** Attributes that a caller may leave out, with what they then are. */
  readonly defaults: ReadonlyMap<string, Attribute>;
  readonly nodes: readonly Node[];
  readonly opsets: ReadonlyMap<string, number>;
  readonly origin?: Origin;
}

/** A whole model. */
export interface Graph extends GraphBody {
  /** Opset version by domain. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly irVersion: number;
  /** `metadata_props`; what was done to the model is recorded here. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Absent where there are none. */
  readonly functions?: readonly LocalFunction[];
}

/** What a pass did at one place, or why it did nothing there. */
export interface Outcome {
  readonly pass: string;
  /** The layer, or another node (its name, or its first output where it has none), or the constant. */
  readonly layer: string;
  readonly applied: boolean;
  /** What was done, or why not: a clause that completes "because ...". */
  readonly reason: string;
}

export interface PassResult {
  readonly graph: Graph;
  readonly outcomes: readonly Outcome[];
}

/** A rewrite of a graph that reports what it did. It never changes its argument. */
export type Pass = (graph: Graph) => PassResult;
