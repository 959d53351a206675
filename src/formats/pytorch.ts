// Reads what torch.save wrote: the ZIP form (PyTorch 1.6 and later) and the older stream of pickles. Nothing in the
// file is run.
import { FilterBasisError, isError } from "../errors/error.js";
import { elementBytes, elements } from "../graph/attributes.js";
import type { DataType, TensorData } from "../graph/types.js";
import { PickleGlobal, type PickleRules, type PickleValue, readPickle } from "./pickle.js";
import { isZip, readStoredZip } from "./zip.js";

const storages: Readonly<Record<string, DataType>> = {
  "torch.DoubleStorage": "float64",
  "torch.FloatStorage": "float32",
  "torch.HalfStorage": "float16",
  "torch.BFloat16Storage": "bfloat16",
  "torch.LongStorage": "int64",
  "torch.IntStorage": "int32",
  "torch.ShortStorage": "int16",
  "torch.CharStorage": "int8",
  "torch.ByteStorage": "uint8",
  "torch.BoolStorage": "bool",
};

/** Strided tensors are copied; many windows on one large storage must not fill the memory. */
const largestCopies = 4 * 2 ** 30;

/** The elements behind one or more tensors. In the old form their bytes come after the tensors that use them. */
class Storage {
  readonly type: DataType;
  readonly count: number;
  bytes: Uint8Array | undefined;
  constructor(type: DataType, count: number, bytes: Uint8Array | undefined) {
    this.type = type;
    this.count = count;
    this.bytes = bytes;
  }
}

/** A tensor as the file describes it: a window on a storage. */
class Window {
  readonly storage: Storage;
  readonly offset: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];
  constructor(storage: Storage, offset: number, dims: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.dims = dims;
    this.strides = strides;
  }
}

/** The calls that rebuild tensors and containers, and nothing else. */
const calls: Readonly<Record<string, (args: readonly PickleValue[]) => PickleValue>> = {
  "collections.OrderedDict": ([pairs = []]) => new Map(pairs as [PickleValue, PickleValue][]),
  "torch.Size": ([sizes]) => sizes as PickleValue,
  "torch._utils._rebuild_tensor": rebuild,
  "torch._utils._rebuild_tensor_v2": rebuild,
  "torch._utils._rebuild_parameter": ([tensor]) => tensor as PickleValue,
};

/**
 * The tensors of a state dict, or of the state dict inside of a checkpoint, by name. Strided ones are copied row-major,
 * the others are views on `bytes`.
 * @throws FilterBasisError `malformed`, or `unsupported` with the name of whatever is neither a tensor nor a plain
 * container
 */
export function readPyTorch(
  bytes: Uint8Array,
  { file }: { readonly file?: string } = {},
): ReadonlyMap<string, TensorData> {
  try {
    return stateDict(isZip(bytes) ? readZipForm(bytes) : readStream(bytes));
  } catch (error) {
    throw isError(error) && file !== undefined ? error.at({ file }) : error;
  }
}

function rules(outside: (id: PickleValue) => PickleValue): PickleRules {
  return {
    names: (name) => Object.hasOwn(calls, name) || Object.hasOwn(storages, name),
    call: (name, args) => {
      const run = Object.hasOwn(calls, name) ? calls[name] : undefined;
      if (run === undefined)
        throw new FilterBasisError("unsupported", `the file calls ${JSON.stringify(name)}`, { field: name });
      return run(args);
    },
    outside,
  };
}

function readZipForm(bytes: Uint8Array): PickleValue {
  const entries = readStoredZip(bytes);
  const main = [...entries.keys()].find((name) => name === "data.pkl" || name.endsWith("/data.pkl"));
  if (main === undefined)
    throw new FilterBasisError("malformed", "the archive was not written by torch.save", {
      expected: "an entry data.pkl",
      got: [...entries.keys()].slice(0, 5).join(", "),
    });
  const folder = main.slice(0, -"data.pkl".length);
  const order = entries.get(`${folder}byteorder`);
  if (order !== undefined && new TextDecoder().decode(order).trim() !== "little")
    throw new FilterBasisError("unsupported", "the file is big-endian", { field: "byteorder" });
  const known = new Map<string, Storage>();
  const outside = (id: PickleValue): PickleValue => {
    const { type, key, count } = storageId(id);
    return remember(known, key, type, count, entries.get(`${folder}data/${key}`) ?? missing(key));
  };
  return readPickle(entries.get(main) as Uint8Array, rules(outside)).value;
}

/** Five pickles (magic number, version, system, value, storage keys), then each storage: its count and its elements. */
function readStream(bytes: Uint8Array): PickleValue {
  const magic = 0x1950a86a20f9469cfc6cn;
  const none = rules(() => malformed("a reference where none belongs"));
  let head: { value: PickleValue; end: number };
  try {
    head = readPickle(bytes, none);
  } catch (cause) {
    if (isError(cause, "unsupported")) throw cause; // it names something: say what
    throw new FilterBasisError("malformed", "neither a ZIP archive nor a pickle stream of torch.save", { cause });
  }
  if (head.value !== magic) malformed("neither a ZIP archive nor a pickle stream of torch.save");
  const version = readPickle(bytes, none, head.end);
  if (version.value !== 1001)
    throw new FilterBasisError("unsupported", "unknown version of the pickle stream", {
      expected: "1001",
      got: String(version.value),
    });
  const system = readPickle(bytes, none, version.end);
  if (system.value instanceof Map && system.value.get("little_endian") === false)
    throw new FilterBasisError("unsupported", "the file is big-endian", { field: "little_endian" });
  const known = new Map<string, Storage>();
  const main = readPickle(
    bytes,
    rules((id) => {
      const { type, key, count } = storageId(id);
      return remember(known, key, type, count, undefined);
    }),
    system.end,
  );
  const keys = readPickle(bytes, none, main.end);
  let at = keys.end;
  if (!Array.isArray(keys.value)) malformed("the list of storages is no list");
  for (const key of keys.value as readonly PickleValue[]) {
    const storage = known.get(String(key));
    if (storage === undefined) return malformed(`storage ${String(key)} belongs to no tensor`);
    const size = storage.count * elementBytes[storage.type];
    if (at + 8 + size > bytes.length) malformed(`storage ${String(key)} ends beyond the file`);
    const count = new DataView(bytes.buffer, bytes.byteOffset + at, 8).getBigInt64(0, true);
    if (count !== BigInt(storage.count))
      malformed(`storage ${String(key)} has ${count} elements where ${storage.count} were announced`);
    storage.bytes = bytes.subarray(at + 8, at + 8 + size);
    at += 8 + size;
  }
  return main.value;
}

function remember(
  known: Map<string, Storage>,
  key: string,
  type: DataType,
  count: number,
  bytes: Uint8Array | undefined,
): Storage {
  const old = known.get(key);
  if (old !== undefined && old.type === type) return old;
  if (old !== undefined) malformed(`storage ${key} is of two types`);
  if (bytes !== undefined && bytes.length < count * elementBytes[type])
    malformed(`storage ${key} is shorter than its ${count} elements`);
  const storage = new Storage(type, count, bytes);
  known.set(key, storage);
  return storage;
}

/** ("storage", type, key, device, count, ...): how a pickle refers to the elements of a tensor. */
function storageId(id: PickleValue): { type: DataType; key: string; count: number } {
  const [tag, kind, key, , count, view = null] = Array.isArray(id) ? (id as readonly PickleValue[]) : [];
  const type = kind instanceof PickleGlobal ? storages[kind.name] : undefined;
  if (tag !== "storage" || type === undefined || !isSize(count))
    return malformed("a reference to something that is no storage");
  if (view !== null) throw new FilterBasisError("unsupported", "storages that are views on storages are not read");
  return { type, key: String(key), count };
}

function rebuild([storage, offset, dims, strides]: readonly PickleValue[]): PickleValue {
  const sizes = (value: PickleValue | undefined): value is number[] => Array.isArray(value) && value.every(isSize);
  if (
    !(storage instanceof Storage) ||
    !isSize(offset) ||
    !sizes(dims) ||
    !sizes(strides) ||
    dims.length !== strides.length
  )
    return malformed("a tensor that is not described as one");
  const last = dims.includes(0)
    ? 0
    : dims.reduce((sum, dim, i) => sum + (dim - 1) * (strides[i] as number), offset + 1);
  if (last > storage.count || elements(dims) > storage.count)
    return malformed(`a tensor [${dims.join(", ")}] that is larger than its storage of ${storage.count}`);
  return new Window(storage, offset, [...dims], [...strides]);
}

/** The one mapping of names to tensors: the value itself, or the one below a name such as `state_dict`. */
function stateDict(value: PickleValue): ReadonlyMap<string, TensorData> {
  const preferred = ["state_dict", "model_state_dict", "model", "params", "net", "weights"];
  const tensorsOf = (candidate: PickleValue | undefined) =>
    candidate instanceof Map ? [...candidate].filter(([, entry]) => entry instanceof Window) : [];
  const inner =
    value instanceof Map
      ? preferred.map((key) => value.get(key)).find((entry) => tensorsOf(entry).length > 0)
      : undefined;
  const found = inner === undefined ? tensorsOf(value) : tensorsOf(inner);
  if (found.length === 0)
    throw new FilterBasisError("unsupported", "the file holds no state dict", {
      expected: `tensors by name, at the top or below ${preferred.join(", ")}`,
      got:
        value instanceof Map
          ? `a dict of ${[...value.keys()].slice(0, 8).map(String).join(", ") || "nothing"}`
          : typeof value,
    });
  let copied = 0;
  return new Map(
    found.map(([name, entry]) => {
      const tensor = materialise(String(name), entry as Window);
      if (tensor.data.buffer !== (entry as Window).storage.bytes?.buffer) copied += tensor.data.length;
      if (copied > largestCopies)
        throw new FilterBasisError(
          "too-large",
          "the file's tensors are windows that take more room than can be right",
          {
            tensor: String(name),
            expected: `at most ${largestCopies} bytes copied`,
          },
        );
      return [String(name), tensor];
    }),
  );
}

/** The tensor row-major: a view where it lies so, else a copy. */
function materialise(name: string, { storage, offset, dims, strides }: Window): TensorData {
  const { type, bytes } = storage;
  if (bytes === undefined)
    throw new FilterBasisError("malformed", "the elements of a tensor are missing", { tensor: name });
  const width = elementBytes[type];
  const count = elements(dims);
  let expected = 1;
  const rowMajor = dims.every((_, i) => {
    const at = dims.length - 1 - i;
    const fits = dims[at] === 1 || strides[at] === expected;
    expected *= dims[at] as number;
    return fits;
  });
  if (rowMajor || count === 0) return { type, dims, data: bytes.subarray(offset * width, (offset + count) * width) };
  const data = new Uint8Array(count * width);
  const index = dims.map(() => 0);
  for (let i = 0; i < count; i++) {
    const from = (offset + index.reduce((sum, n, d) => sum + n * (strides[d] as number), 0)) * width;
    data.set(bytes.subarray(from, from + width), i * width);
    for (let d = dims.length - 1; d >= 0; d--) {
      index[d] = (index[d] as number) + 1;
      if ((index[d] as number) < (dims[d] as number)) break;
      index[d] = 0;
    }
  }
  return { type, dims, data };
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function missing(key: string): never {
  return malformed(`the elements of storage ${key} are missing`);
}

function malformed(message: string): never {
  throw new FilterBasisError("malformed", message);
}
