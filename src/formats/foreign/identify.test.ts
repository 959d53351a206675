// What a file is: every kind from bytes as its own writer makes them, and nothing of an ONNX model taken for another.
import { create, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, TensorProtoSchema } from "onnx-buf";
import { describe, expect, test } from "vitest";
import { identify, identifyFolder, notWanted } from "./identify.js";
import { type KindName, kinds } from "./kinds.js";

/** One byte a character. */
const raw = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const joined = (...parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]));

/** A length-delimited field of a protobuf message. */
function field(no: number, content: Uint8Array | string): Uint8Array {
  const bytes = typeof content === "string" ? text(content) : content;
  return joined(varint(no * 8 + 2), varint(bytes.length), bytes);
}
const number = (no: number, value: number): Uint8Array => joined(varint(no * 8), varint(value));
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Uint8Array.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

/** A zip archive of empty entries, with its directory. */
function zip(...names: readonly string[]): Uint8Array {
  const header = (signature: string, fixed: number, lengthAt: number, name: string): Uint8Array => {
    const bytes = new Uint8Array(fixed);
    bytes.set(raw(signature));
    bytes[lengthAt] = name.length;
    return joined(bytes, text(name));
  };
  const locals = names.map((name) => header("PK\x03\x04", 30, 26, name));
  const central = names.map((name) => header("PK\x01\x02", 46, 28, name));
  return joined(...locals, ...central, raw("PK\x05\x06"), new Uint8Array(18));
}

const safetensors = (): Uint8Array => {
  const header = text('{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
  return joined(Uint8Array.of(header.length, 0, 0, 0, 0, 0, 0, 0), header, new Uint8Array(4));
};
const tar = (): Uint8Array => {
  const bytes = new Uint8Array(1024);
  bytes.set(text("model.onnx"));
  bytes.set(raw("ustar\x0000"), 257);
  return bytes;
};
const flatbuffer = (name: string): Uint8Array => joined(Uint8Array.of(0x1c, 0, 0, 0), raw(name), new Uint8Array(32));
const noise = Uint8Array.from({ length: 400 }, (_, at) => (at * 151 + 0xe7) % 256);

const model = toBinary(
  ModelProtoSchema,
  create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: "test",
    opsetImport: [{ version: 17n }],
    graph: {
      name: "g",
      node: [{ opType: "Relu", input: ["x"], output: ["y"] }],
      input: [{ name: "x" }],
      output: [{ name: "y" }],
    },
  }),
);
const tensor = toBinary(
  TensorProtoSchema,
  create(TensorProtoSchema, { dims: [2n], dataType: 1, rawData: new Uint8Array(8) }),
);

const samples: readonly (readonly [KindName, Uint8Array, string?])[] = [
  ["onnx", model],
  ["onnx-tensor", tensor],
  ["onnx-text", text('ir_version: 8\nproducer_name: "x"\ngraph {\n}\n')],
  ["onnx-text", text('<\n  ir_version: 8,\n  opset_import: ["" : 17]\n>\nagraph (float[N] x) => (float[N] y) {}\n')],
  ["onnx-text", text('{"irVersion": "8", "graph": {}}')],
  ["onnx-weights", noise, "model.onnx.data"],
  ["onnx-weights", noise, "model.onnx_data"],
  ["ort", flatbuffer("ORTM")],
  ["pytorch", zip("archive/data.pkl", "archive/version", "archive/data/0")],
  ["pytorch", raw("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.")],
  ["torchscript", zip("net/data.pkl", "net/code/__torch__.py", "net/constants.pkl")],
  ["torch-export", zip("net/archive_format", "net/models/model.json", "net/data/weights/0")],
  ["executorch", flatbuffer("ET12")],
  ["pickle", raw("\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94.")],
  ["safetensors", safetensors()],
  ["gguf", joined(raw("GGUF"), Uint8Array.of(3, 0, 0, 0))],
  ["tflite", flatbuffer("TFL3")],
  ["keras", zip("metadata.json", "config.json", "model.weights.h5")],
  ["keras", joined(raw("\x89HDF\r\n\x1a\n"), new Uint8Array(64), raw("model_weights"), raw("keras_version"))],
  ["keras", text('{"class_name": "Functional", "config": {}}')],
  ["hdf5", joined(raw("\x89HDF\r\n\x1a\n"), new Uint8Array(64))],
  [
    "saved-model",
    joined(number(1, 1), field(2, joined(field(1, joined(field(1, "x"), field(4, "serve"))), field(2, "y")))),
  ],
  ["tf-graph", joined(field(1, joined(field(1, "input"), field(2, "Placeholder"))), field(4, number(1, 24)))],
  ["tf-checkpoint", noise, "model.ckpt.data-00000-of-00001"],
  ["tfjs", text('{"format": "graph-model", "modelTopology": {}}')],
  ["coreml", joined(number(1, 4), field(2, field(1, "x")), field(500, field(1, "y")))],
  ["openvino", text('<?xml version="1.0"?>\n<net name="Model0" version="11">\n')],
  ["tensorrt", joined(raw("ftrt"), new Uint8Array(30))],
  ["caffe", joined(field(1, "LeNet"), field(100, field(1, "data")))],
  ["caffe", text('name: "LeNet"\nlayer {\n  name: "data"\n}\n')],
  ["paddle", field(1, joined(number(1, 0), number(2, 300), field(3, "x")))],
  ["mxnet", raw("\x12\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0")],
  ["mxnet", text('{"nodes": [], "arg_nodes": [0]}')],
  ["ncnn", text("7767517\n75 83\nInput data 0 1 data\n")],
  ["mnn", noise, "model.mnn"],
  ["darknet", text("# yolo\n[net]\nbatch=64\n")],
  ["jpeg", raw("\xff\xd8\xff\xe0\0\x10JFIF\0")],
  ["png", raw("\x89PNG\r\n\x1a\n\0\0\0\rIHDR")],
  ["gif", raw("GIF89a\x01\0\x01\0")],
  ["webp", raw("RIFF\x24\0\0\0WEBPVP8 ")],
  ["bmp", joined(raw("BM"), Uint8Array.of(70, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0))],
  ["tiff", raw("II*\0\x08\0\0\0\0\0\0\0")],
  ["avif", raw("\0\0\0\x20ftypavif\0\0\0\0")],
  ["psd", raw("8BPS\0\x01\0\0\0\0\0\0")],
  ["video", raw("\0\0\0\x20ftypisom\0\0\x02\0")],
  ["audio", raw("RIFF\x24\0\0\0WAVEfmt ")],
  ["pdf", raw("%PDF-1.7\n")],
  ["numpy", raw("\x93NUMPY\x01\0v\0{'descr': '<f4'}")],
  ["numpy", zip("arr_0.npy", "arr_1.npy")],
  ["zip", zip("readme.txt")],
  ["zip-with-onnx", zip("files/", "files/model.onnx")],
  ["gzip", raw("\x1f\x8b\x08\0\0\0\0\0")],
  ["tar", tar()],
  ["7z", raw("7z\xbc\xaf\x27\x1c\0\x04")],
  ["rar", raw("Rar!\x1a\x07\x01\0")],
  ["xz", raw("\xfd7zXZ\0\0\x04")],
  ["bzip2", raw("BZh91AY&SY")],
  ["zstd", raw("\x28\xb5\x2f\xfd\x24\0")],
  ["html", text("\n<!DOCTYPE html>\n<html><head>")],
  ["html", text("<html>\r\n<head><title>404 Not Found</title>")],
  ["xml", text('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>')],
  ["git-lfs", text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")],
  ["json", text('{"error": "not found"}')],
  ["python", text("import torch\n\nclass Net(torch.nn.Module):\n  pass\n")],
  ["program", raw("\x7fELF\x02\x01\x01\0")],
  ["text", text("Größe: 5\nnot a model\n")],
  ["zeros", new Uint8Array(5000)],
  ["empty", new Uint8Array(0)],
];

test.each(samples.map(([kind, bytes, name], at) => [kind, `sample ${at}`, bytes, name] as const))(
  "%s is recognised (%s)",
  (kind, _, bytes, name) => {
    expect(identify(bytes, name === undefined ? {} : { name })).toEqual({ kind, ...kinds[kind] });
  },
);

test("every kind has a sample", () => {
  const seen = new Set(samples.map(([kind]) => kind));
  expect(Object.keys(kinds).filter((kind) => !seen.has(kind as KindName))).toEqual([]);
});

describe("an ONNX model", () => {
  test("that is cut off, or has bytes behind it, is taken for nothing else", () => {
    for (let cut = 1; cut < model.length; cut++) {
      const found = identify(model.subarray(0, cut), { name: "model.onnx" })?.kind;
      expect([undefined, "onnx"]).toContain(found);
    }
    expect([undefined, "onnx"]).toContain(identify(joined(model, noise), { name: "model.onnx" })?.kind);
  });

  test("whose first fields come in another order is one", () => {
    const fields = [number(1, 8), field(2, "producer"), field(8, number(2, 17)), field(7, field(2, "graph"))];
    expect(identify(joined(...fields.reverse()))?.kind).toBe("onnx");
  });
});

test("of a large zip archive the end is enough", () => {
  const archive = zip("archive/data.pkl", "archive/version");
  const local = joined(raw("PK\x03\x04"), new Uint8Array(26));
  expect(identify(local, { tail: archive.subarray(-180) })?.kind).toBe("pytorch");
});

test("bytes of no known kind, and hostile ones, are nothing", () => {
  expect(identify(noise)).toBeUndefined();
  for (const bytes of [
    Uint8Array.of(8),
    raw("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    raw("\x0a\xff\xff\xff\x7f"),
  ])
    expect(identify(bytes)).toBeUndefined();
  const began = performance.now();
  identify(text("# ".repeat(1 << 17)));
  identify(raw("PK\x03\x04".repeat(1 << 16)));
  identify(text(`{${" ".repeat(1 << 17)}`));
  expect(performance.now() - began).toBeLessThan(2000);
});

test.each<[readonly string[], string, KindName | undefined]>([
  [["saved_model.pb", "variables"], "model", "saved-model"],
  [["Manifest.json", "Data"], "net.mlpackage", "coreml"],
  [["model.json", "group1-shard1of2.bin"], "web", "tfjs"],
  [["inference.pdmodel", "inference.pdiparams"], "net", "paddle"],
  [["data.pkl", "version", "data"], "archive", "pytorch"],
  [["model.onnx"], "net", undefined],
])("a folder of %j is recognised", (names, name, kind) => expect(identifyFolder(names, name)?.kind).toBe(kind));

test("the error names what it is, what was wanted, and the way", () => {
  const error = notWanted(identify(raw("\xff\xd8\xff\xe0"))!, {
    wanted: "an ONNX model",
    file: "a.onnx",
    cures: ["give a model"],
  });
  expect(error).toMatchObject({ code: "malformed", cures: ["give a model"] });
  expect(error.message).toBe('file "a.onnx": this is a JPEG image, not an ONNX model');
  const page = notWanted(identify(text("<html>"))!, { wanted: "an image", cures: ["give an image"] });
  expect(page.cures).toEqual(kinds.html.cures);
});
