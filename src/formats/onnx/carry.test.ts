// What the graph does not speak of is carried: through an unchanged graph as the same bytes, through an edited one part
// by part.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import {
  AttributeProto_AttributeType as Kind,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
} from "onnx-buf";
import { describe, expect, test } from "vitest";
import { makeNode } from "../../graph/attributes.js";
import type { Graph, Node } from "../../graph/types.js";
import { readModel, writeModel } from "./index.js";

const field = (no: number, text: string): Uint8Array =>
  new BinaryWriter().tag(no, WireType.LengthDelimited).string(text).finish();
const unknown = (text: string) => [{ no: 900, wireType: WireType.LengthDelimited, data: field(900, text).subarray(2) }];
const tensorType = (name: string) => ({
  name,
  docString: `about ${name}`,
  metadataProps: [{ key: "value key", value: name }],
  type: {
    denotation: "IMAGE",
    value: {
      case: "tensorType" as const,
      value: {
        elemType: 1,
        shape: { dim: [{ denotation: "DATA_BATCH", value: { case: "dimParam" as const, value: "N" } }] },
      },
    },
  },
});

/**
 * A model that uses every corner of the format, with fields that no schema knows in each message that the graph models.
 */
function everything(): ModelProto {
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    producerName: "somebody",
    producerVersion: "1.2",
    domain: "org.example",
    modelVersion: 7n,
    docString: "a model",
    opsetImport: [
      { domain: "ai.onnx", version: 17n },
      { domain: "custom", version: 3n },
    ],
    metadataProps: [{ key: "author", value: "me" }],
    trainingInfo: [{ initializationBinding: [{ key: "w", value: "y" }] }],
    configuration: [{ name: "two devices", numDevices: 2 }],
    functions: [
      {
        name: "twice",
        overload: "v2",
        domain: "custom",
        input: ["a"],
        output: ["b"],
        attribute: ["slope"],
        attributeProto: [{ name: "bias", type: Kind.FLOAT, f: 0.5 }],
        opsetImport: [{ domain: "", version: 17n }],
        node: [
          {
            opType: "LeakyRelu",
            input: ["a"],
            output: ["b"],
            attribute: [{ name: "alpha", type: Kind.FLOAT, refAttrName: "slope" }],
          },
        ],
        docString: "a function",
      },
    ],
    graph: {
      name: "main",
      docString: "a graph",
      metadataProps: [{ key: "graph key", value: "v" }],
      quantizationAnnotation: [{ tensorName: "x", quantParameterTensorNames: [{ key: "SCALE_TENSOR", value: "w" }] }],
      input: [tensorType("x"), tensorType("cond")],
      output: [tensorType("y")],
      valueInfo: [tensorType("h")],
      initializer: [
        {
          name: "w",
          dims: [2n],
          dataType: 10,
          int32Data: [15360, 16384],
          docString: "half",
          metadataProps: [{ key: "k", value: "v" }],
        },
      ],
      sparseInitializer: [
        {
          dims: [4n],
          values: { name: "s", dims: [1n], dataType: 1, floatData: [3] },
          indices: { dims: [1n], dataType: 7, int64Data: [2n] },
        },
      ],
      node: [
        {
          opType: "twice",
          domain: "custom",
          overload: "v2",
          input: ["x"],
          output: ["h"],
          name: "first",
          docString: "the first node",
          metadataProps: [{ key: "node key", value: "v" }],
          deviceConfigurations: [{ configurationId: "two devices" }],
          attribute: [
            { name: "slope", type: Kind.FLOAT, f: 0.1, docString: "an attribute" },
            { name: "kind", type: Kind.TYPE_PROTO, tp: { value: { case: "tensorType", value: { elemType: 1 } } } },
            { name: "big", type: Kind.INT, i: 2n ** 62n + 1n },
            { name: "__proto__", type: Kind.STRING, s: new Uint8Array([255, 254]) },
          ],
        },
        {
          opType: "If",
          input: ["cond"],
          output: ["y"],
          attribute: ["then_branch", "else_branch"].map((name) => ({
            name,
            type: Kind.GRAPH,
            g: {
              name,
              docString: "a branch",
              node: [{ opType: "Relu", input: ["h"], output: [`${name} out`] }],
              output: [{ name: `${name} out` }],
            },
          })),
        },
      ],
    },
  });
  const graph = model.graph!;
  const parts = [
    model,
    graph,
    graph.node[0]!,
    graph.node[0]!.attribute[0]!,
    graph.input[0]!,
    graph.initializer[0]!,
    graph.sparseInitializer[0]!,
  ];
  for (const [at, part] of [...parts, model.functions[0]!].entries()) part.$unknown = unknown(`new in ${at}`);
  return model;
}

const bytes = toBinary(ModelProtoSchema, everything());
const read = (): Graph => readModel(bytes);
/** The file again, after the graph was changed and written. */
const written = (change: (graph: Graph) => Graph): ModelProto =>
  fromBinary(ModelProtoSchema, writeModel(change(read())));
const changeNode = (graph: Graph, at: number, change: (node: Node) => Node): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node, index) => (index === at ? change(node) : node)),
});

describe("an unchanged graph", () => {
  test("is written as the bytes that were read", () => {
    expect(Buffer.compare(writeModel(read()), bytes)).toBe(0);
  });

  test("is written as the bytes that were read even where it was structurally cloned on the way to a worker", () => {
    expect(Buffer.compare(writeModel(structuredClone(read())), bytes)).toBe(0);
  });

  test("holds tensors that are views on the file", () => {
    const model = create(ModelProtoSchema, everything());
    model.graph!.initializer[0]! = { ...model.graph!.initializer[0]!, int32Data: [], rawData: new Uint8Array(4) };
    const file = toBinary(ModelProtoSchema, model);
    expect(readModel(file).initializers.get("w")!.data.buffer).toBe(file.buffer);
  });
});

describe("an edited graph", () => {
  test("differs from the file only in what was edited", () => {
    const expected = everything();
    expected.graph!.name = "renamed";
    expect(written((graph) => ({ ...graph, name: "renamed" }))).toEqual(roundtrip(expected));
  });

  test("keeps what belonged to a node whose inputs were changed", () => {
    const expected = everything();
    expected.graph!.node[0]!.input = ["cond"];
    expect(written((graph) => changeNode(graph, 0, (node) => ({ ...node, inputs: ["cond"] })))).toEqual(
      roundtrip(expected),
    );
  });

  test("keeps what belonged to an attribute whose value was changed", () => {
    const expected = everything();
    expected.graph!.node[0]!.attribute[0]!.f = 0.25;
    const slope = (node: Node): Node => {
      const attribute = node.attributes.get("slope");
      if (attribute?.kind !== "float") throw new Error("no slope");
      return { ...node, attributes: new Map([...node.attributes, ["slope", { ...attribute, value: 0.25 }]]) };
    };
    expect(written((graph) => changeNode(graph, 0, slope))).toEqual(roundtrip(expected));
  });

  test("keeps a constant's doc string under a new name, and its bytes", () => {
    const model = written((graph) => ({ ...graph, initializers: new Map([["v", graph.initializers.get("w")!]]) }));
    const [constant] = model.graph!.initializer;
    expect(constant).toMatchObject({
      name: "v",
      dims: [2n],
      dataType: 10,
      docString: "half",
      rawData: new Uint8Array([0, 60, 0, 64]),
    });
    expect(constant!.$unknown).toEqual(everything().graph!.initializer[0]!.$unknown);
  });

  test("keeps the type of a value that was renamed, denotations included", () => {
    const model = written((graph) => ({ ...graph, outputs: [{ ...graph.outputs[0]!, name: "y" }] }));
    expect(model.graph!.output[0]).toEqual(roundtrip(everything()).graph!.output[0]);
  });

  test("gives a value a new type where that was changed", () => {
    const tensor = { type: "float16", dims: [1, "N", null] } as const;
    const model = written((graph) => ({ ...graph, outputs: [{ ...graph.outputs[0]!, tensor }] }));
    const type = model.graph!.output[0]!.type!.value;
    expect(
      type.case === "tensorType" && [type.value.elemType, type.value.shape!.dim.map(({ value }) => value.value)],
    ).toEqual([10, [1n, "N", undefined]]);
    expect(model.graph!.output[0]!.docString).toBe("about y");
  });

  test("gives a fresh node nothing of the node whose place it takes", () => {
    const fresh = makeNode("Relu", ["x"], ["h"]);
    const node = written((graph) => changeNode(graph, 0, () => fresh)).graph!.node[0]!;
    const expected: NodeProto = create(NodeProtoSchema, { opType: "Relu", input: ["x"], output: ["h"] });
    expect(node).toEqual(expected);
  });

  test("adds metadata beside what was there", () => {
    const model = written((graph) => ({ ...graph, metadata: new Map([...graph.metadata, ["filterbasis", "{}"]]) }));
    expect(model.metadataProps.map(({ key, value }) => [key, value])).toEqual([
      ["author", "me"],
      ["filterbasis", "{}"],
    ]);
  });

  test("keeps the long name of the standard domain, and raises its version when asked", () => {
    expect(written((graph) => ({ ...graph, name: "n" })).opsetImport[0]).toMatchObject({
      domain: "ai.onnx",
      version: 17n,
    });
    const model = written((graph) => ({ ...graph, opsets: new Map([...graph.opsets, ["", 18]]) }));
    expect(model.opsetImport.map(({ domain, version }) => [domain, version])).toEqual([
      ["", 18n],
      ["custom", 3n],
    ]);
  });

  test("changed inside the branch of an If keeps the rest of the branch", () => {
    const changed = written((graph) =>
      changeNode(graph, 1, (node) => {
        const branch = node.attributes.get("then_branch");
        if (branch?.kind !== "graph") throw new Error("no branch");
        const nodes = branch.value.nodes.map((inner) => ({ ...inner, op: "Tanh" }));
        return {
          ...node,
          attributes: new Map([...node.attributes, ["then_branch", { ...branch, value: { ...branch.value, nodes } }]]),
        };
      }),
    );
    const expected = everything();
    expected.graph!.node[1]!.attribute[0]!.g!.node[0]!.opType = "Tanh";
    expect(changed).toEqual(roundtrip(expected));
  });

  test("keeps 64-bit integers exact and bytes that are no text as they are", () => {
    const { attributes } = read().nodes[0]!;
    expect(attributes.get("big")).toMatchObject({ kind: "int", value: 2n ** 62n + 1n });
    expect(attributes.get("__proto__")).toMatchObject({ kind: "string", value: new Uint8Array([255, 254]) });
  });
});

function roundtrip(model: ModelProto): ModelProto {
  return fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, model));
}

test("a model from before IR version 4 becomes one of version 4 where a constant is added that is no input", () => {
  const old = create(ModelProtoSchema, everything());
  old.irVersion = 3n;
  old.graph!.input.push({ ...old.graph!.input[0]!, name: "w" });
  const graph = readModel(toBinary(ModelProtoSchema, old));
  const { irVersion } = fromBinary(ModelProtoSchema, writeModel({ ...graph, name: "edited" }));
  expect(irVersion).toBe(3n);
  const more = new Map([...graph.initializers, ["v", graph.initializers.get("w")!]]);
  expect(fromBinary(ModelProtoSchema, writeModel({ ...graph, initializers: more })).irVersion).toBe(4n);
});

test("a Buffer is read as plain bytes", () => {
  const data = readModel(Buffer.from(bytes)).nodes[0]!.attributes.get("__proto__");
  expect(data?.kind === "string" && data.value.constructor).toBe(Uint8Array);
});
