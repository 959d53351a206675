// Broken and unusual models as a whole, and their local functions.
import { type FunctionInit, Kind, modelBytes, node, type Row, reluGraph } from "../onnx-models.js";

const bytes = (count: number): Uint8Array<ArrayBuffer> => new Uint8Array(count);
const local = (name: string, more: FunctionInit = {}): FunctionInit => ({
  name,
  domain: "local",
  input: ["x"],
  output: ["y"],
  opsetImport: [
    { domain: "", version: 17n },
    { domain: "local", version: 1n },
  ],
  node: [node("Relu", ["x"], ["y"])],
  ...more,
});
const withFunctions = (
  functions: FunctionInit[],
  call = node("foo", ["X"], ["Y"], [], { domain: "local" }),
): Uint8Array =>
  modelBytes(reluGraph({ node: [call] }), {
    functions,
    opsetImport: [
      { domain: "", version: 17n },
      { domain: "local", version: 1n },
    ],
  });

export const models: readonly Row[] = [
  ["no IR version", modelBytes(reluGraph(), { irVersion: 0n }), "valid"],
  ["an IR version below zero", modelBytes(reluGraph(), { irVersion: -1n }), "valid"],
  ["an IR version beyond 2^31", modelBytes(reluGraph(), { irVersion: 2n ** 40n }), "malformed", /ir_version/],
  [
    "neither an IR version nor imports",
    modelBytes(reluGraph(), { irVersion: 0n, opsetImport: [] }),
    "invalid-graph",
    /imports no/,
  ],
  ["no opset import", modelBytes(reluGraph(), { opsetImport: [] }), "invalid-graph", /imports no operators/],
  ["no opset import, before IR version 3", modelBytes(reluGraph(), { irVersion: 2n, opsetImport: [] }), "valid"],
  [
    "a domain imported in two versions",
    modelBytes(reluGraph(), {
      opsetImport: [
        { domain: "", version: 11n },
        { domain: "ai.onnx", version: 12n },
      ],
    }),
    "valid",
  ],
  [
    "an opset of version 0",
    modelBytes(reluGraph(), { opsetImport: [{ domain: "", version: 0n }] }),
    "invalid-graph",
    /no version/,
  ],
  ["opset 1", modelBytes(reluGraph(), { opsetImport: [{ domain: "", version: 1n }] }), "valid"],
  [
    "a metadata key twice",
    modelBytes(reluGraph(), {
      metadataProps: [
        { key: "a", value: "1" },
        { key: "a", value: "2" },
      ],
    }),
    "valid",
  ],
  ["metadata", modelBytes(reluGraph(), { metadataProps: [{ key: "__proto__", value: "1" }] }), "valid"],
  ["a function", withFunctions([local("foo")]), "valid"],
  [
    "functions that call each other in a line",
    withFunctions([local("foo", { node: [node("bar", ["x"], ["y"], [], { domain: "local" })] }), local("bar")]),
    "valid",
  ],
  [
    "a function that calls itself",
    withFunctions([local("foo", { node: [node("foo", ["x"], ["y"], [], { domain: "local" })] })]),
    "invalid-graph",
    /calls itself: local::foo -> local::foo/,
  ],
  [
    "functions that call each other in a ring",
    withFunctions([
      local("foo", { node: [node("bar", ["x"], ["y"], [], { domain: "local" })] }),
      local("bar", { node: [node("foo", ["x"], ["y"], [], { domain: "local" })] }),
    ]),
    "invalid-graph",
    /calls itself/,
  ],
  ["a function defined twice", withFunctions([local("foo"), local("foo")]), "valid"],
  [
    "a function that calls its own overload",
    withFunctions([
      local("foo", { node: [node("foo", ["x"], ["y"], [], { domain: "local", overload: "2" })] }),
      local("foo", { overload: "2" }),
    ]),
    "valid",
  ],
  [
    "thousands of overloads that all call one that is not there",
    withFunctions([
      local("foo"),
      ...Array.from({ length: 4000 }, (_, at) =>
        local("foo", {
          overload: `${at}`,
          node: [node("foo", ["x"], ["y"], [], { domain: "local", overload: "none" })],
        }),
      ),
    ]),
    "valid",
  ],
  ["a function without a name", withFunctions([local("")]), "invalid-graph", /no name/],
  [
    "a function with an input twice",
    withFunctions([local("foo", { input: ["x", "x"] })]),
    "invalid-graph",
    /two inputs/,
  ],
  [
    "a function with an output twice",
    withFunctions([local("foo", { output: ["y", "y"] })]),
    "invalid-graph",
    /two outputs/,
  ],
  [
    "a function with an attribute twice",
    withFunctions([local("foo", { attribute: ["a", "a"] })]),
    "invalid-graph",
    /two attributes/,
  ],
  [
    "a function with nodes out of order",
    withFunctions([local("foo", { node: [node("Relu", ["z"], ["y"]), node("Relu", ["x"], ["z"])] })]),
    "valid",
  ],
  [
    "a function whose nodes read each other",
    withFunctions([local("foo", { node: [node("Add", ["x", "z"], ["y"]), node("Relu", ["y"], ["z"])] })]),
    "invalid-graph",
    /function local::foo.*read each other/,
  ],
  [
    "a function that does not make its output",
    withFunctions([local("foo", { output: ["y", "z"] })]),
    "invalid-graph",
    /its output "z"/,
  ],
  [
    "a function that makes a value twice",
    withFunctions([local("foo", { node: [node("Relu", ["x"], ["y"]), node("Tanh", ["x"], ["y"])] })]),
    "invalid-graph",
    /made once/,
  ],
  [
    "a function that reads the main graph",
    withFunctions([local("foo", { node: [node("Relu", ["X"], ["y"])] })]),
    "invalid-graph",
    /"X"/,
  ],
  [
    "a function of a domain that it does not import",
    withFunctions([local("foo", { node: [node("Op", ["x"], ["y"], [], { domain: "elsewhere" })] })]),
    "invalid-graph",
    /not imported: "elsewhere"/,
  ],
  [
    "a function's node that refers to its attribute",
    withFunctions([
      local("foo", {
        attribute: ["slope"],
        node: [node("LeakyRelu", ["x"], ["y"], [{ name: "alpha", type: Kind.FLOAT, refAttrName: "slope" }])],
      }),
    ]),
    "valid",
  ],
  [
    "a function's node that refers to an attribute that is not there",
    withFunctions([
      local("foo", {
        node: [node("LeakyRelu", ["x"], ["y"], [{ name: "alpha", type: Kind.FLOAT, refAttrName: "slope" }])],
      }),
    ]),
    "invalid-graph",
    /"slope"/,
  ],
  ["no graph at all", modelBytes(reluGraph()).subarray(0, 2), "malformed", /not an ONNX model/],
  ["an empty file", bytes(0), "malformed", /not an ONNX model/],
  ["text", new TextEncoder().encode("<!DOCTYPE html><html><body>404</body></html>"), "malformed"],
  ["a truncated file", modelBytes(reluGraph()).subarray(0, 60), "malformed", /truncated/],
  ["zeros", bytes(1000), "malformed", /field number/],
];
