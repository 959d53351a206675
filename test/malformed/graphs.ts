// Broken and unusual graphs: names, order, constants, bodies of If and Loop.
import {
  bodyAttribute,
  type GraphInit,
  modelBytes,
  node,
  type Row,
  reluGraph,
  sample,
  sparse,
  tensor,
  value,
} from "../onnx-models.js";

const withSparse = (...args: Parameters<typeof sparse>): Uint8Array =>
  modelBytes(reluGraph({ sparseInitializer: [sparse(...args)] }));
const withNode = (...nodes: GraphInit["node"] & object): Uint8Array => modelBytes(reluGraph({ node: nodes }));
const withIf = (body: GraphInit, more: GraphInit = {}): Uint8Array =>
  modelBytes(
    reluGraph({
      node: [node("If", ["cond"], ["Y"], [bodyAttribute("then_branch", body), bodyAttribute("else_branch", body)])],
      input: [value("X"), value("cond", "bool", [])],
      ...more,
    }),
  );
const withLoop = (body: GraphInit): Uint8Array =>
  modelBytes(
    reluGraph({
      node: [node("Loop", ["n", "", "X"], ["Y"], [bodyAttribute("body", body)])],
      input: [value("X"), value("n", "int64", [])],
    }),
  );
const loopBody = (more: GraphInit = {}): GraphInit => ({
  name: "body",
  input: [value("i", "int64", []), value("cond_in", "bool", []), value("x_in")],
  node: [node("Identity", ["cond_in"], ["cond_out"]), node("Relu", ["x_in"], ["x_out"])],
  output: [value("cond_out", "bool", []), value("x_out")],
  ...more,
});

export const graphs: readonly Row[] = [
  ["a constant that nothing reads", modelBytes(reluGraph({ initializer: [sample("no-exist")] })), "valid"],
  ["a constant that is an input's default", modelBytes(reluGraph({ initializer: [sample("X")] })), "valid"],
  // The checker and ONNX Runtime refuse this one; it is read, and written as of IR version 4, which allows it.
  [
    "a constant that is no input, before IR version 4",
    modelBytes(reluGraph({ initializer: [sample("c")] }), { irVersion: 3n }),
    "valid",
  ],
  ["a constant without a name", modelBytes(reluGraph({ initializer: [sample("")] })), "valid"],
  ["a sparse constant without a name", withSparse([100], [13, 17, 19], [3], [9, 27, 81], ""), "valid"],
  ["two constants of one name", modelBytes(reluGraph({ initializer: [sample("c"), sample("c")] })), "valid"],
  [
    "a constant and a sparse one of one name",
    modelBytes(reluGraph({ initializer: [sample("c")], sparseInitializer: [sparse([9], [1], [1], [3], "c")] })),
    "invalid-graph",
    /"c".*two initializers/,
  ],
  ["two inputs of one name", modelBytes(reluGraph({ input: [value("X"), value("X")] })), "invalid-graph", /two inputs/],
  ["an input without a name", modelBytes(reluGraph({ input: [value("X"), value("")] })), "valid"],
  ["an input without a type", modelBytes(reluGraph({ input: [{ name: "X" }] })), "invalid-graph", /no type/],
  [
    "two nodes that make one value",
    withNode(node("Relu", ["X"], ["Y"]), node("Tanh", ["X"], ["Y"])),
    "invalid-graph",
    /made once/,
  ],
  [
    "a node that makes an input",
    withNode(node("Relu", ["X"], ["X"]), node("Relu", ["X"], ["Y"])),
    "invalid-graph",
    /made once/,
  ],
  ["one node that makes a value twice", withNode(node("Split", ["X"], ["Y", "Y"])), "invalid-graph", /made once/],
  ["nodes out of order", withNode(node("Relu", ["Z"], ["Y"]), node("Relu", ["X"], ["Z"])), "valid"],
  [
    "nodes that read each other",
    withNode(node("Add", ["X", "Z"], ["Y"]), node("Relu", ["Y"], ["Z"])),
    "invalid-graph",
    /these nodes read each other.*the Add -> the Relu -> the Add/,
  ],
  [
    "an If that reads in a branch what depends on it",
    modelBytes(
      reluGraph({
        node: [
          node(
            "If",
            ["cond"],
            ["Z"],
            [bodyAttribute("then_branch", { name: "b", node: [node("Relu", ["Y"], ["z"])], output: [value("z")] })],
          ),
          node("Relu", ["Z"], ["Y"]),
        ],
        input: [value("X"), value("cond", "bool", [])],
      }),
    ),
    "invalid-graph",
    /these nodes read each other/,
  ],
  ["a node that reads its own output", withNode(node("Add", ["X", "Y"], ["Y"])), "invalid-graph", /its own output/],
  ["a value that nothing makes", withNode(node("Relu", ["nobody"], ["Y"])), "invalid-graph", /"nobody".*nothing makes/],
  [
    "an output that nothing makes",
    modelBytes(reluGraph({ output: [value("Y"), value("Z")] })),
    "invalid-graph",
    /"Z".*nothing makes/,
  ],
  [
    "an If whose branches read from outside",
    withIf({ name: "b", node: [node("Relu", ["X"], ["Z"])], output: [value("Z")] }),
    "valid",
  ],
  [
    "a branch that hands out a value from outside",
    withIf({ name: "b", output: [value("X")] }),
    "invalid-graph",
    /an Identity is needed/,
  ],
  [
    "a branch that makes a name from outside",
    withIf({ name: "b", node: [node("Relu", ["cond"], ["X"])], output: [value("X")] }),
    "invalid-graph",
    /made once/,
  ],
  [
    "a branch that reads what is made only later outside",
    modelBytes(
      reluGraph({
        node: [
          node(
            "If",
            ["cond"],
            ["Y"],
            [bodyAttribute("then_branch", { name: "b", node: [node("Relu", ["late"], ["z"])], output: [value("z")] })],
          ),
          node("Relu", ["X"], ["late"]),
        ],
        input: [value("X"), value("cond", "bool", [])],
      }),
    ),
    "valid",
  ],
  ["a Loop", withLoop(loopBody()), "valid"],
  [
    "a Loop whose body's inputs have no types",
    withLoop(loopBody({ input: [{ name: "i" }, { name: "cond_in" }, { name: "x_in" }] })),
    "valid",
  ],
  [
    "a Loop's body with a constant named as its input",
    withLoop(loopBody({ initializer: [tensor("i", "int64", [], { int64Data: [10n] })] })),
    "invalid-graph",
    /both an input and a constant/,
  ],
];
