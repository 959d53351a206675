// Sessions of ONNX Runtime, in Node (native) or as the browser has it (onnxruntime-web's wasm, which runs in Node too).
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { FilterBasisError } from "../errors/error.js";
import type { DataType, Dim, TensorData } from "../graph/types.js";
import { keepFreedMemory } from "../torch/heap.js";
import { openFailure, runFailure, runtimeText } from "./failure.js";
import { collectArrays } from "./garbage.js";

export const runtimeNames = ["node", "web"] as const;
export type RuntimeName = (typeof runtimeNames)[number];

/** Values by the name of the input or output. */
export type Feeds = Readonly<Record<string, TensorData>>;

/** An input or output as ONNX Runtime sees it. */
export interface Port {
  readonly name: string;
  readonly type: DataType;
  /** Free sizes are names, or null where they have none. */
  readonly dims: readonly Dim[];
}

export interface SessionOptions {
  /**
   * Threads inside an operator; ONNX Runtime's own choice (the physical cores) when left out. For `web` the first
   * session decides for all.
   */
  readonly threads?: number;
  /** Where it runs; by default in Node's own runtime, or in wasm where that one is not installed. */
  readonly runtime?: RuntimeName;
  /** For `web` in a page: on the processor, or on the GPU. Default: `wasm`. */
  readonly provider?: "wasm" | "webgpu";
  /** False: the memory of runs is shared with all that asks for some, and goes back to the system on `release`. */
  readonly arena?: boolean;
  /**
   * False takes memory value by value instead of all at once as a first run found it: the second run is as fast as
   * those behind it. Default: with an arena.
   */
  readonly memoryPattern?: boolean;
  /** How far the runtime may rewrite the graph; "all" by default. Two levels differ by nothing but rounding. */
  readonly optimisation?: "disabled" | "basic" | "all";
  /** Node only: a file of every operator's times lies at this path (and an ending) after `release`. */
  readonly profile?: string;
}

/** A model that ONNX Runtime has loaded. Owns native memory: `release` it. */
export interface Session {
  readonly runtime: RuntimeName;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /**
   * Runs once. Every operator is computed, whichever outputs are wanted.
   * @param wanted - the outputs to be handed over; all of them when left out
   * @throws FilterBasisError `runtime`, `usage` (a missing or unknown input), `unsupported` (an element type)
   */
  run(feeds: Feeds, wanted?: readonly string[]): Promise<Record<string, TensorData>>;
  release(): Promise<void>;
}

type Ort = Pick<typeof import("onnxruntime-node"), "InferenceSession" | "Tensor" | "env">;
type OrtType = Tensor.Type;

const arrays = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  float64: Float64Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  float16: Uint16Array,
} as const;

/** Outputs of former runs beyond this many bytes do not wait for V8's own time. */
const manyBytes = 2 ** 27;
/** Bytes of outputs since this was last looked at. */
let made = 0;

/** Only what ends the process may be logged: ONNX Runtime's words belong into our errors, not on the terminal. */
const fatal = 4;
const quietly = { logSeverityLevel: fatal } as const;

/**
 * Opens a model: the bytes of a file, or its path (then external data is found beside it).
 * @throws FilterBasisError `runtime-missing` (the package is not installed or not for this machine), `unsupported` (the
 * runtime has not what the model needs), `runtime` (the model is refused)
 */
export async function openOrtSession(
  model: Uint8Array | string,
  { threads, arena = true, memoryPattern = arena, optimisation = "all", profile, ...options }: SessionOptions = {},
): Promise<Session> {
  const runtime = options.runtime ?? (await defaultRuntime());
  const ort = await loadRuntime(runtime, threads);
  const place = typeof model === "string" ? { file: model } : {};
  const settings: InferenceSession.SessionOptions = {
    executionProviders: [runtime === "web" ? (options.provider ?? "wasm") : "cpu"],
    logSeverityLevel: fatal,
    graphOptimizationLevel: optimisation,
    interOpNumThreads: 1,
    enableCpuMemArena: arena,
    enableMemPattern: memoryPattern,
    ...(threads === undefined || runtime === "web" ? {} : { intraOpNumThreads: threads }),
    ...(profile === undefined ? {} : { enableProfiling: true, profileFilePrefix: profile }),
  };
  collectArrays(manyBytes);
  const giveBack = arena || runtime === "web" ? () => undefined : keepFreedMemory();
  // The two signatures are the same function; the bytes are not kept by ONNX Runtime.
  const session = await (typeof model === "string"
    ? ort.InferenceSession.create(model, settings)
    : ort.InferenceSession.create(model, settings)
  ).catch((error: unknown) => {
    giveBack();
    throw openFailure(error, runtime, place);
  });
  let released = false;
  return {
    runtime,
    inputs: session.inputMetadata.map(readPort),
    outputs: session.outputMetadata.map(readPort),
    async run(feeds, wanted) {
      if (released) throw new FilterBasisError("usage", "the session has been released", place);
      // Asking what memory is used takes longer than a small network does.
      if (made > 2 * manyBytes) {
        collectArrays(2 * manyBytes);
        made = 0;
      }
      checkFeeds(session.inputNames, feeds);
      const inputs = Object.fromEntries(
        Object.entries(feeds).map(([name, tensor]) => [name, toOrt(ort, name, tensor)]),
      );
      const outputs = await session.run(inputs, wanted ?? session.outputNames, quietly).catch((error: unknown) => {
        throw runFailure(error, runtime, place);
      });
      const values = Object.entries(outputs).map(([name, tensor]) => [name, fromOrt(name, tensor)] as const);
      for (const [, { data }] of values) made += data.byteLength;
      return Object.fromEntries(values);
    },
    async release() {
      if (released) return;
      released = true;
      if (profile !== undefined) session.endProfiling();
      try {
        await session.release();
      } finally {
        if (!arena) collectArrays(manyBytes);
        giveBack();
      }
    },
  };
}

/** The version of ONNX Runtime, or the error that says why there is none. */
export async function runtimeVersion(runtime: RuntimeName): Promise<string> {
  const { versions } = (await loadRuntime(runtime)).env;
  return (runtime === "node" ? versions.node : versions.web) ?? versions.common;
}

/** "node" where onnxruntime-node can be loaded, else "web": slower, same results. */
export async function defaultRuntime(): Promise<RuntimeName> {
  return await loadRuntime("node").then(
    () => "node" as const,
    () => "web" as const,
  );
}

const loaded = new Map<RuntimeName, Promise<Ort>>();

function loadRuntime(runtime: RuntimeName, threads?: number): Promise<Ort> {
  const found = loaded.get(runtime) ?? importRuntime(runtime, threads);
  loaded.set(runtime, found);
  return found;
}

async function importRuntime(runtime: RuntimeName, threads?: number): Promise<Ort> {
  const name = runtime === "node" ? "onnxruntime-node" : "onnxruntime-web";
  try {
    if (runtime === "node") return quiet(await import("onnxruntime-node"));
    const web = quiet(await import("onnxruntime-web"));
    if (threads !== undefined) web.env.wasm.numThreads = threads;
    return web as Ort;
  } catch (error) {
    throw new FilterBasisError("runtime-missing", `${name} cannot be loaded: ${runtimeText(error)}`, {
      cause: error,
      cures: [`npm install ${name}`, "see `filterbasis doctor`"],
    });
  }
}

/** Silences what is logged outside of sessions, unless the program around us has asked for it. */
function quiet<T extends Pick<Ort, "env">>(ort: T): T {
  if (ort.env.logLevel === "warning") ort.env.logLevel = "fatal";
  return ort;
}

function readPort(value: InferenceSession.ValueMetadata): Port {
  if (!value.isTensor)
    throw new FilterBasisError("unsupported", "only tensors can be fed and fetched", { tensor: value.name });
  const dims = value.shape.map((dim) =>
    typeof dim === "number" && dim >= 0 ? dim : typeof dim === "string" && dim !== "" ? dim : null,
  );
  return { name: value.name, type: value.type as DataType, dims };
}

function checkFeeds(names: readonly string[], feeds: Feeds): void {
  const missing = names.find((name) => !Object.hasOwn(feeds, name));
  const unknown = Object.keys(feeds).find((name) => !names.includes(name));
  if (missing === undefined && unknown === undefined) return;
  throw new FilterBasisError("usage", missing ? `input ${missing} is not fed` : `the model has no input ${unknown}`, {
    expected: names.join(", "),
    got: Object.keys(feeds).join(", "),
  });
}

function toOrt(ort: Ort, name: string, tensor: TensorData): Tensor {
  const { type, dims, data } = tensor;
  if (type === "string") {
    return new ort.Tensor(
      "string",
      (tensor.strings ?? []).map((bytes) => new TextDecoder().decode(bytes)),
      dims,
    );
  }
  if (!Object.hasOwn(arrays, type))
    throw new FilterBasisError("unsupported", `a tensor of type ${type} cannot be fed`, { tensor: name });
  const View = arrays[type as keyof typeof arrays];
  const aligned = data.byteOffset % View.BYTES_PER_ELEMENT === 0 ? data : Uint8Array.from(data);
  const values = new View(
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    aligned.byteLength / View.BYTES_PER_ELEMENT,
  );
  return new ort.Tensor(type as Exclude<OrtType, "string">, values as Float32Array, dims);
}

function fromOrt(name: string, { type, dims, data }: Tensor): TensorData {
  if (Array.isArray(data)) {
    const strings = (data as string[]).map((text) => new TextEncoder().encode(text));
    return { type: "string", dims, data: new Uint8Array(0), strings };
  }
  if (!ArrayBuffer.isView(data))
    throw new FilterBasisError("unsupported", `an output of type ${type} cannot be read`, { tensor: name });
  return { type: type as DataType, dims, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}
