// Broken and unusual nodes and attributes.
import { type GraphInit, Kind, modelBytes, node, type Row, reluGraph, sparse, value } from "../onnx-models.js";

const withNode = (...nodes: GraphInit["node"] & object): Uint8Array => modelBytes(reluGraph({ node: nodes }));

export const nodes: readonly Row[] = [
  ["a Relu", modelBytes(reluGraph()), "valid"],
  [
    "a Relu whose input is left out",
    withNode(node("Relu", [""], ["Y"])),
    "invalid-graph",
    /the Relu.*leaves out a required input/,
  ],
  ["a Relu without any input", withNode(node("Relu", [], ["Y"])), "invalid-graph", /too few inputs/],
  ["a Relu with two inputs", withNode(node("Relu", ["X", "X"], ["Y"])), "invalid-graph", /too many inputs/],
  ["a node that names no operator", withNode(node("", ["X"], ["Y"])), "invalid-graph", /names no operator/],
  [
    "a node with neither inputs nor outputs",
    withNode(node("Relu", ["X"], ["Y"]), node("Odd", [], [])),
    "invalid-graph",
    /neither inputs/,
  ],
  ["an operator that nobody knows", withNode(node("ConstantFill", [], ["Y"])), "valid"],
  ["an optional input left out of it", withNode(node("GivenTensorFill", [""], ["Y"])), "valid"],
  [
    "an operator of a domain that is imported",
    modelBytes(reluGraph({ node: [node("NonExistOp", ["X"], ["Y"], [], { domain: "test.domain" })] }), {
      opsetImport: [{ domain: "test.domain", version: 1n }],
    }),
    "valid",
  ],
  [
    "an operator of a domain that is not imported",
    withNode(node("Op", ["X"], ["Y"], [], { domain: "test.domain" })),
    "invalid-graph",
    /"test\.domain"/,
  ],
  [
    "an attribute of the type of another field",
    withNode(node("LeakyRelu", ["X"], ["Y"], [{ name: "alpha", type: Kind.INT, f: 1 }])),
    "invalid-graph",
    /alpha/,
  ],
  [
    "an attribute with two values",
    withNode(node("LeakyRelu", ["X"], ["Y"], [{ name: "alpha", type: Kind.FLOAT, f: 1, i: 1n }])),
    "invalid-graph",
    /more than one value/,
  ],
  [
    "an attribute of a type that its operator does not take",
    withNode(node("LeakyRelu", ["X"], ["Y"], [{ name: "alpha", type: Kind.INT, i: 1n }])),
    "invalid-graph",
    /wrong type.*expected float, got int/,
  ],
  [
    "an attribute without a name",
    withNode(node("Relu", ["X"], ["Y"], [{ type: Kind.INT, i: 1n }])),
    "invalid-graph",
    /no name/,
  ],
  [
    "an attribute given twice",
    withNode(
      node(
        "LeakyRelu",
        ["X"],
        ["Y"],
        [
          { name: "alpha", type: Kind.FLOAT, f: 1 },
          { name: "alpha", type: Kind.FLOAT, f: 2 },
        ],
      ),
    ),
    "invalid-graph",
    /twice/,
  ],
  [
    "an empty list as attribute",
    modelBytes({
      name: "g",
      node: [node("Constant", [], ["Y"], [{ name: "value_ints", type: Kind.INTS }])],
      output: [value("Y", "int64", ["M"])],
    }),
    "valid",
  ],
  [
    "a reference to a function's attribute outside of any function",
    withNode(node("LeakyRelu", ["X"], ["Y"], [{ name: "alpha", type: Kind.FLOAT, refAttrName: "a" }])),
    "invalid-graph",
    /outside of any function/,
  ],
  [
    "a sparse matrix as constant",
    modelBytes(
      reluGraph({
        node: [
          node(
            "Constant",
            [],
            ["C"],
            [
              {
                name: "sparse_value",
                type: Kind.SPARSE_TENSOR,
                sparseTensor: sparse([5, 10], [2, 3, 1], [3], [3, 11, 37]),
              },
            ],
          ),
          node("MatMul", ["C", "X"], ["Y"]),
        ],
      }),
    ),
    "valid",
  ],
];
