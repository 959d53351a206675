// ONNX's own conformance models with their recorded inputs and outputs (Debian's libonnx-testdata), as cases for tests.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { readModel, readTensorProto } from "../src/formats/onnx/index.js";
import { Cursor } from "../src/formats/onnx/wire.js";
import type { TensorData } from "../src/graph/types.js";

/** The reason that a test gives when it skips. */
export const noTestdata = "libonnx-testdata is not installed (npm run testdata:onnx fetches it)";

/** The folder that holds `node`, `simple`, ..., or undefined. */
export function testdataFolder(): string | undefined {
  const inside = join("usr", "share", "libonnx-testdata", "data");
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "filterbasis", "libonnx-testdata");
  const places = [process.env.FILTERBASIS_ONNX_TESTDATA, join("/", inside), join(cache, inside)];
  return places.find((place): place is string => place !== undefined && existsSync(join(place, "node")));
}

/** A recorded value: a tensor, a sequence of tensors, or nothing (an empty optional). */
export type Recorded =
  | { readonly kind: "tensor"; readonly tensor: TensorData }
  | { readonly kind: "sequence"; readonly tensors: readonly TensorData[] }
  | { readonly kind: "nothing" };

/** One set of recorded inputs and outputs, in the order of the model's feeds and outputs. */
export interface DataSet {
  readonly inputs: readonly Recorded[];
  readonly outputs: readonly Recorded[];
}

export interface TestCase {
  /** "node/test_relu" and so on. */
  readonly name: string;
  /** Path of the model. */
  readonly model: string;
  /**
   * The recorded values, decoded when asked for. @throws FilterBasisError for values of a kind that is not decoded here
   * (maps)
   */
  dataSets(): DataSet[];
}

/** All cases, in alphabetical order; none where the package is absent. */
export function testCases(): TestCase[] {
  const root = testdataFolder();
  if (root === undefined) return [];
  const names = readdirSync(root).flatMap((group) => readdirSync(join(root, group)).map((name) => `${group}/${name}`));
  return names
    .filter((name) => existsSync(join(root, name, "model.onnx")))
    .sort()
    .map((name) => ({ name, model: join(root, name, "model.onnx"), dataSets: () => readDataSets(join(root, name)) }));
}

function readDataSets(folder: string): DataSet[] {
  const graph = readModel(new Uint8Array(readFileSync(join(folder, "model.onnx"))), { verify: false });
  const feeds = graph.inputs.filter(({ name }) => !graph.initializers.has(name));
  const kindOf = (value: { readonly origin?: unknown } | undefined): string => typeCase(value?.origin);
  const sets = readdirSync(folder).filter((name) => name.startsWith("test_data_set_"));
  return sets.sort().map((set) => {
    const read = (stem: string, kinds: readonly string[]): Recorded[] => {
      const files = readdirSync(join(folder, set)).filter(
        (name) => name.startsWith(`${stem}_`) && name.endsWith(".pb"),
      );
      return files
        .sort((a, b) => numberIn(a) - numberIn(b))
        .map((name) => {
          const bytes = new Uint8Array(readFileSync(join(folder, set, name)));
          return readRecorded(bytes, kinds[numberIn(name)] ?? "tensor");
        });
    };
    return { inputs: read("input", feeds.map(kindOf)), outputs: read("output", graph.outputs.map(kindOf)) };
  });
}

function numberIn(name: string): number {
  return Number(/\d+/.exec(name)?.[0] ?? 0);
}

/**
 * Which kind of type a value was read with: TypeProto's tensor_type 1, sequence_type 4, map_type 5, sparse 8,
 * optional_type 9.
 */
export function typeCase(origin: unknown): string {
  const type = (origin as { readonly type?: Uint8Array } | undefined)?.type;
  return type === undefined ? "tensor" : typeKind(type);
}

function typeKind(type: Uint8Array): string {
  for (const cursor = new Cursor(type); cursor.next(); ) {
    if (cursor.no === 4) return "sequence";
    if (cursor.no === 9) return `optional ${inner(cursor.view())}`;
    if (cursor.no === 5) return "map";
    if (cursor.no === 8) return "sparse";
  }
  return "tensor";
}

function inner(optional: Uint8Array): string {
  for (const cursor = new Cursor(optional); cursor.next(); ) if (cursor.no === 1) return typeKind(cursor.view());
  return "tensor";
}

/** TensorProto, SequenceProto or OptionalProto (onnx-data.proto), as the model's own types say. */
export function readRecorded(bytes: Uint8Array, kind: string): Recorded {
  if (kind === "tensor") return { kind, tensor: readTensorProto(bytes) };
  if (kind === "sequence") return { kind, tensors: sequence(bytes) };
  if (kind.startsWith("optional ")) {
    // elem_type 2; the value in tensor_value 3, sequence_value 5
    for (const cursor = new Cursor(bytes); cursor.next(); ) {
      if (cursor.no === 3 && cursor.to > cursor.from) return { kind: "tensor", tensor: readTensorProto(cursor.view()) };
      if (cursor.no === 5) return { kind: "sequence", tensors: sequence(cursor.view()) };
    }
    return { kind: "nothing" };
  }
  throw new Error(`recorded values of kind ${kind} are not decoded`);
}

/** SequenceProto: name 1, elem_type 2 (1: tensors), tensor_values 3. */
function sequence(bytes: Uint8Array): TensorData[] {
  const tensors: TensorData[] = [];
  for (const cursor = new Cursor(bytes); cursor.next(); ) {
    if (cursor.no === 3) tensors.push(readTensorProto(cursor.view()));
    else if (cursor.no > 3) throw new Error("a sequence of something other than tensors is not decoded");
  }
  return tensors;
}
