// Broken and unusual constants, dense and sparse.
import {
  modelBytes,
  type Row,
  reluGraph,
  sample,
  sparse,
  type TensorInit,
  tensor,
  typeNumber,
} from "../onnx-models.js";

const bytes = (count: number): Uint8Array<ArrayBuffer> => new Uint8Array(count);
const withConstant = (init: TensorInit): Uint8Array => modelBytes(reluGraph({ initializer: [init] }));
const withSparse = (...args: Parameters<typeof sparse>): Uint8Array =>
  modelBytes(reluGraph({ sparseInitializer: [sparse(...args)] }));
const big = 2n ** 62n;

export const tensors: readonly Row[] = [
  ["float_data and raw_data in one tensor", withConstant({ ...sample("t"), rawData: bytes(24) }), "valid"],
  [
    "float_data and int32_data in one tensor",
    withConstant({ ...sample("t"), int32Data: [1, 2, 3, 4, 5, 6] }),
    "malformed",
    /more than one field/,
  ],
  ["strings in string_data", withConstant(tensor("t", "string", [1], { stringData: [bytes(4)] })), "valid"],
  ["strings in raw_data", withConstant(tensor("t", "string", [1], { rawData: bytes(4) })), "malformed", /string_data/],
  [
    "int32 in float_data",
    withConstant({ ...sample("t"), dataType: typeNumber("int32") }),
    "malformed",
    /wrong field for int32/,
  ],
  ["a tensor of no elements", withConstant(tensor("t", "float32", [0, 3])), "valid"],
  [
    "a tensor of no elements with data",
    withConstant(tensor("t", "float32", [0, 3], { rawData: bytes(4) })),
    "invalid-graph",
    /expected 0 bytes/,
  ],
  ["a tensor without data", withConstant(tensor("t", "float32", [2])), "invalid-graph", /expected 8 bytes, got 0/],
  [
    "a tensor without a type",
    withConstant({ name: "t", dims: [1n], rawData: bytes(4) }),
    "malformed",
    /no element type/,
  ],
  [
    "a tensor of a type of the future",
    withConstant({ name: "t", dims: [1n], dataType: 99, rawData: bytes(4) }),
    "unsupported",
    /99/,
  ],
  [
    "raw_data too short",
    withConstant(tensor("t", "float32", [2, 3], { rawData: bytes(20) })),
    "invalid-graph",
    /expected 24 bytes, got 20/,
  ],
  [
    "raw_data too long",
    withConstant(tensor("t", "float32", [2, 3], { rawData: bytes(28) })),
    "invalid-graph",
    /expected 24 bytes, got 28/,
  ],
  [
    "float_data too short",
    withConstant(tensor("t", "float32", [2, 3], { floatData: [1, 2] })),
    "invalid-graph",
    /expected 24 bytes, got 8/,
  ],
  [
    "sizes whose product overflows",
    withConstant(tensor("t", "float32", [big, big], { rawData: bytes(1) })),
    "malformed",
    /out of range/,
  ],
  [
    "sizes whose product is beyond all memory",
    withConstant(tensor("t", "float32", [2 ** 40, 2 ** 40], { rawData: bytes(1) })),
    "invalid-graph",
    /does not fit its shape/,
  ],
  [
    "a negative size",
    withConstant(tensor("t", "float32", [-1, 4], { rawData: bytes(16) })),
    "malformed",
    /out of range.*got -1/,
  ],
  [
    "a tensor in segments",
    withConstant(tensor("t", "float32", [1], { segment: { begin: 0n, end: 4n }, rawData: bytes(4) })),
    "unsupported",
  ],
  ...(["int4", "uint4", "float4e2m1"] as const).flatMap((type): Row[] => [
    [
      `10 ${type} in 4 bytes`,
      withConstant(tensor("t", type, [10], { rawData: bytes(4) })),
      "invalid-graph",
      /expected 5 bytes/,
    ],
    [`10 ${type} in 5 bytes`, withConstant(tensor("t", type, [10], { rawData: bytes(5) })), "valid"],
    [`10 ${type} in one number`, withConstant(tensor("t", type, [10], { int32Data: [0] })), "invalid-graph"],
    [`10 ${type} in two numbers`, withConstant(tensor("t", type, [10], { int32Data: [0, 0] })), "valid"],
    [`no ${type}`, withConstant(tensor("t", type, [0])), "valid"],
  ]),
  ...(["int2", "uint2"] as const).flatMap((type): Row[] => [
    [
      `10 ${type} in 2 bytes`,
      withConstant(tensor("t", type, [10], { rawData: bytes(2) })),
      "invalid-graph",
      /expected 3 bytes/,
    ],
    [`10 ${type} in 3 bytes`, withConstant(tensor("t", type, [10], { rawData: bytes(3) })), "valid"],
    [`20 ${type} in one number`, withConstant(tensor("t", type, [20], { int32Data: [0] })), "invalid-graph"],
    [`20 ${type} in two numbers`, withConstant(tensor("t", type, [20], { int32Data: [0, 0] })), "valid"],
    [`no ${type}`, withConstant(tensor("t", type, [0])), "valid"],
  ]),
  [
    "external data without a location",
    withConstant(tensor("t", "float32", [1], { dataLocation: 1, externalData: [{ key: "offset", value: "0" }] })),
    "malformed",
    /without a location/,
  ],
  [
    "external data and data",
    withConstant(
      tensor("t", "float32", [1], { dataLocation: 1, floatData: [1], externalData: [{ key: "location", value: "w" }] }),
    ),
    "malformed",
    /another file and has data here/,
  ],
  ["sparse, by flat index", withSparse([100], [13, 17, 19], [3], [9, 27, 81]), "valid"],
  [
    "sparse, an index out of range",
    withSparse([100], [13, 17, 19], [3], [9, 27, 181]),
    "invalid-graph",
    /index 2.*out of range/,
  ],
  [
    "sparse, indices unordered",
    withSparse([100], [13, 17, 19], [3], [27, 9, 81]),
    "invalid-graph",
    /index 1.*come after/,
  ],
  ["sparse, by coordinates", withSparse([10, 10], [13, 17, 19], [3, 2], [0, 9, 2, 7, 8, 1]), "valid"],
  [
    "sparse, a coordinate out of range",
    withSparse([10, 10], [13, 17, 19], [3, 2], [0, 9, 0, 27, 8, 1]),
    "invalid-graph",
    /out of range/,
  ],
  [
    "sparse, indices transposed",
    withSparse([10, 10], [13, 17, 19], [2, 3], [0, 9, 2, 7, 8, 1]),
    "invalid-graph",
    /do not fit/,
  ],
  [
    "sparse, coordinates of the wrong rank",
    withSparse([10, 10], [13, 17, 19], [3, 1], [0, 1, 2]),
    "invalid-graph",
    /do not fit/,
  ],
  ["sparse, without a rank", withSparse([], [1], [1], [0]), "invalid-graph", /must have a rank/],
  [
    "sparse, of a hundred thousand axes",
    withSparse(new Array(100_000).fill(2 ** 40), [], [0], []),
    "invalid-graph",
    /too many elements/,
  ],
  [
    "a shape of a hundred thousand axes",
    withConstant(tensor("t", "float32", new Array(100_000).fill(3), { rawData: bytes(4) })),
    "invalid-graph",
    /of rank 100000/,
  ],
  ["sparse, a size of zero", withSparse([0, 3], [], [0], []), "invalid-graph", /positive/],
];
