// Reading: numbers in whichever field an exporter put them, and bytes that were never meant to be read.
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type GraphProtoSchema, ModelProtoSchema, TensorProtoSchema } from "onnx-buf";
import { describe, expect, test } from "vitest";
import { isError } from "../../errors/error.js";
import { type DataType, dataTypes } from "../../graph/types.js";
import { readModel, readTensorProto } from "./index.js";

type Fields = Pick<
  Exclude<MessageInitShape<typeof TensorProtoSchema>, { $typeName: string }>,
  "floatData" | "int32Data" | "doubleData"
> & {
  readonly int64Data?: bigint[];
  readonly uint64Data?: bigint[];
};
const encoded = (type: DataType, count: number, fields: Fields): Uint8Array =>
  toBinary(
    TensorProtoSchema,
    create(TensorProtoSchema, { name: "t", dataType: dataTypes.indexOf(type) + 1, dims: [BigInt(count)], ...fields }),
  );
const memory = (values: ArrayBufferView): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const most = 2n ** 63n - 1n;

describe("numbers in typed fields become the bytes that raw_data would hold", () => {
  const rows: readonly (readonly [DataType, Fields, ArrayBufferView])[] = [
    ["float32", { floatData: [1.5, -0, Number.NaN] }, new Float32Array([1.5, -0, Number.NaN])],
    ["float64", { doubleData: [Math.PI, -1e300, 0] }, new Float64Array([Math.PI, -1e300, 0])],
    ["int64", { int64Data: [-most - 1n, most, -1n] }, new BigInt64Array([-most - 1n, most, -1n])],
    [
      "uint64",
      { uint64Data: [2n ** 64n - 1n, 2n ** 32n, 127n] },
      new BigUint64Array([2n ** 64n - 1n, 2n ** 32n, 127n]),
    ],
    ["uint32", { uint64Data: [2n ** 32n - 1n, 0n, 128n] }, new Uint32Array([2 ** 32 - 1, 0, 128])],
    ["int32", { int32Data: [-(2 ** 31), 2 ** 31 - 1, -1] }, new Int32Array([-(2 ** 31), 2 ** 31 - 1, -1])],
    ["int16", { int32Data: [-32768, 32767, -1] }, new Int16Array([-32768, 32767, -1])],
    ["uint16", { int32Data: [0, 65535, 255] }, new Uint16Array([0, 65535, 255])],
    ["int8", { int32Data: [-128, 127, -1] }, new Int8Array([-128, 127, -1])],
    ["uint8", { int32Data: [0, 255, 128] }, new Uint8Array([0, 255, 128])],
    ["bool", { int32Data: [0, 1, 1] }, new Uint8Array([0, 1, 1])],
    ["float16", { int32Data: [0x3c00, 0x8000, 0xfc00] }, new Uint16Array([0x3c00, 0x8000, 0xfc00])],
    ["bfloat16", { int32Data: [0x3f80, 0x8000, 0xff80] }, new Uint16Array([0x3f80, 0x8000, 0xff80])],
    ["float8e5m2", { int32Data: [1, 2, 255] }, new Uint8Array([1, 2, 255])],
    ["complex64", { floatData: [1, 2, 3, 4, 5, 6] }, new Float32Array([1, 2, 3, 4, 5, 6])],
    ["complex128", { doubleData: [1, 2, 3, 4, 5, 6] }, new Float64Array([1, 2, 3, 4, 5, 6])],
    ["int4", { int32Data: [0x21, 0x03] }, new Uint8Array([0x21, 0x03])],
  ];
  for (const [type, fields, expected] of rows) {
    test(type, () => {
      expect(readTensorProto(encoded(type, 3, fields))).toMatchObject({
        name: "t",
        type,
        dims: [3],
        data: memory(expected),
      });
    });
  }

  test("whether they come packed, one by one, or both in turn", () => {
    const writer = new BinaryWriter().tag(1, WireType.Varint).int64(4).tag(2, WireType.Varint).int32(7);
    writer
      .tag(7, WireType.Varint)
      .int64(5)
      .tag(7, WireType.LengthDelimited)
      .fork()
      .int64(-6)
      .int64(7)
      .join()
      .tag(7, WireType.Varint)
      .int64(-8);
    expect(readTensorProto(writer.finish()).data).toEqual(memory(new BigInt64Array([5n, -6n, 7n, -8n])));
  });

  test("four bytes to a number where small types are packed so", () => {
    const tensor = readTensorProto(encoded("uint4", 10, { int32Data: [0x44332211, 0x55] }));
    expect(tensor.data).toEqual(new Uint8Array([0x11, 0x22, 0x33, 0x44, 0x55]));
  });
});

type GraphInit = MessageInitShape<typeof GraphProtoSchema>;
const model = (graph: GraphInit): Uint8Array<ArrayBuffer> =>
  toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, { irVersion: 8n, opsetImport: [{ version: 17n }], graph: graph as object }),
  );
const codeOf = (file: Uint8Array): string => {
  try {
    readModel(file);
    return "valid";
  } catch (error) {
    if (isError(error)) return error.code;
    throw error;
  }
};
const lengthDelimited = (no: number, content: Uint8Array): Uint8Array =>
  new BinaryWriter().tag(no, WireType.LengthDelimited).bytes(content).finish();

describe("hostile bytes", () => {
  test("messages nested beyond the limit are refused before anything recurses into them", () => {
    let body: Uint8Array = new Uint8Array(0);
    // Graph in attribute in node: what an If inside an If is on the wire.
    for (let depth = 0; depth < 200; depth++) body = lengthDelimited(1, lengthDelimited(5, lengthDelimited(6, body)));
    expect(codeOf(lengthDelimited(7, body))).toBe("malformed");
  });

  test("unknown groups nested 100,000 deep are refused without recursion", () => {
    const starts = new Uint8Array(200_000).map((_, at) => (at % 2 === 0 ? 0xa3 : 0x06)); // field 100, a group begins
    expect(codeOf(starts)).toBe("malformed");
  });

  test("a number of eleven bytes, and one that never ends", () => {
    expect(codeOf(new Uint8Array([8, ...new Array<number>(10).fill(255), 1]))).toBe("malformed");
    expect(codeOf(new Uint8Array(100).fill(255))).toBe("malformed");
  });

  test("a length near 2^64", () => {
    expect(codeOf(new Uint8Array([0x3a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]))).toBe("malformed");
  });

  test("a length of 2^32 more than there is, which 32-bit readers would take for less", () => {
    const file = model({ name: "g" });
    expect(codeOf(new Uint8Array([...file.subarray(0, -1), 0x0a, 0x81, 0x80, 0x80, 0x80, 0x10, 0x41]))).toBe(
      "malformed",
    );
  });

  test("a field beyond the end of its message, inside the next", () => {
    // graph { node { length 10 } } of which the graph holds 2 bytes, and the file more.
    expect(codeOf(new Uint8Array([0x3a, 2, 0x0a, 10, 0x3a, 0, 0x3a, 0, 0x3a, 0, 0x3a, 0, 0x3a, 0]))).toBe("malformed");
  });

  test("a field of the wrong wire type", () => {
    expect(codeOf(new Uint8Array([0x0a, 1, 65]))).toBe("malformed");
  });

  test("names that are not UTF-8 are read byte by byte: two of them never become one", () => {
    const node = [
      { opType: "Constant", output: ["AAAA"], attribute: [{ name: "value_int", type: 2, i: 3n }] },
      { opType: "Identity", output: ["AAAB"], input: ["AAAA"] },
    ];
    const file = model({ name: "g", node } as GraphInit);
    for (let at = 0; at < file.length - 3; at++) {
      const name = Buffer.from(file.subarray(at, at + 4)).toString("latin1");
      if (name === "AAAA" || name === "AAAB") file.set([0xc4, 0xe3, 0xba, name === "AAAA" ? 0xc3 : 0xc5], at);
    }
    const notes: string[] = [];
    const { nodes } = readModel(file, { note: (text) => notes.push(text) });
    expect(nodes.map(({ inputs, outputs }) => [...inputs, ...outputs])).toEqual([["ÄãºÃ"], ["ÄãºÃ", "ÄãºÅ"]]);
    expect(notes).toEqual(["names in the file are not UTF-8: they are read as Latin-1"]);
  });

  test("a doc string that is not UTF-8 does no harm, and is carried", () => {
    const file = model({ name: "g", docString: "AAAA" } as GraphInit);
    file[Buffer.from(file).indexOf("AAAA")] = 0xff;
    expect(codeOf(file)).toBe("valid");
  });

  test("names of JavaScript's own are names like others", () => {
    const names = ["__proto__", "constructor", "hasOwnProperty", "toString", "valueOf"];
    const node = names.map((name) => ({
      opType: name,
      domain: "",
      output: [name],
      attribute: [{ name, type: 2, i: 1n }],
    }));
    const graph = readModel(model({ name: "g", node } as GraphInit));
    expect(graph.nodes.map((each) => [each.op, each.outputs[0], [...each.attributes.keys()]])).toEqual(
      names.map((name) => [name, name, [name]]),
    );
  });

  test("a megabyte of empty nodes is refused: it would take hundreds of megabytes", () => {
    const empty = new Uint8Array(2 ** 20).map((_, at) => (at % 2 === 0 ? 0x0a : 0));
    expect(codeOf(lengthDelimited(7, empty))).toBe("too-large");
  });

  test("a limit on memory may be given by those who trust the file", () => {
    const file = model({
      name: "g",
      metadataProps: Array.from({ length: 1000 }, () => ({ key: "k", value: "v" })),
    } as GraphInit);
    expect(() => readModel(file, { memory: 1000 })).toThrow(/far more memory/);
    expect(readModel(file, { memory: Number.POSITIVE_INFINITY }).name).toBe("g");
  });

  test("a message in two pieces is read as protobuf reads it: joined", () => {
    const whole = toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, {
        irVersion: 8n,
        opsetImport: [{ version: 17n }],
        graph: {
          name: "g",
          node: [{ opType: "Constant", output: ["c"], attribute: [{ name: "value_int", type: 2, i: 3n }] }],
        },
      }),
    );
    const more = toBinary(
      ModelProtoSchema,
      create(ModelProtoSchema, { graph: { node: [{ opType: "Identity", input: ["c"], output: ["d"] }] } }),
    );
    expect(readModel(new Uint8Array([...whole, ...more])).nodes.map(({ op }) => op)).toEqual(["Constant", "Identity"]);
  });
});
