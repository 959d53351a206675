// The native addon: its interface, typed in this one file, and its loading on first use.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { environmentDefaults } from "./environment.js";
import { packageRoot } from "./files.js";
import type { GroupBindings } from "./group-bindings.js";

declare const handleBrand: unique symbol;
declare const operatorBrand: unique symbol;

/** A tensor as the addon hands it out: an external value, opaque here. */
export interface Handle {
  readonly [handleBrand]: true;
}

/** One overload of an operator, or all overloads of a name. */
export interface OperatorHandle {
  readonly [operatorBrand]: true;
}

export type NumberArray =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Uint8ClampedArray
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | BigInt64Array;

/** What an operator may return, lists included. */
export type NativeResult = Handle | number | bigint | boolean | string | null | undefined | readonly NativeResult[];

export interface Information {
  readonly version: string;
  readonly cuda: boolean;
  readonly mkldnn: boolean;
  /** False where oneDNN's convolutions give NaN at random here: it is not used then. */
  readonly soundConvolutions: boolean;
  readonly configuration: string;
  readonly parallel: string;
  readonly threads: number;
  /** OpenBLAS describes itself; null with another BLAS. */
  readonly blas: string | null;
  readonly blasCore: string | null;
  readonly blasThreads: number | null;
}

/** A GPU as libtorch sees it. */
export interface Gpu {
  readonly name: string;
  /** The newest version of CUDA that the driver knows. */
  readonly driver: string;
  readonly memoryBytes: number | null;
  readonly freeBytes: number | null;
}

/** The exports of native/*.cpp. Every function throws an Error with a `code` of native/errors.h. */
export interface NativeEngine extends GroupBindings {
  find(name: string, overload?: string): OperatorHandle;
  /**
   * Names; how many may be given without one; the places of lists of tensors and of integers. Null where the overload
   * is not settled.
   */
  parameters(
    operator: OperatorHandle,
  ): [names: string[], positional: number, tensors: number[], integers: number[]] | null;
  /**
   * Arguments in the schema's order; where the overload is not settled, a plain object may end them. Undefined: the one
   * tensor is in `out`. Else `out` stays empty; an operator that works in place gives its first argument's handle.
   */
  call(operator: OperatorHandle, out: Handle, ...args: readonly unknown[]): NativeResult;
  callAsync(operator: OperatorHandle, ...args: readonly unknown[]): Promise<NativeResult>;
  schemas(operator: OperatorHandle): string[];
  operatorNames(): string[];

  shape(tensor: Handle): number[];
  dtype(tensor: Handle): string;
  device(tensor: Handle): string;
  dataPointer(tensor: Handle): bigint;
  item(tensor: Handle): number | bigint | boolean;
  emptyHandle(): Handle;
  dispose(tensor: Handle): void;
  disposeAll(tensors: readonly Handle[]): void;
  isDisposed(tensor: Handle): boolean;
  liveTensors(): number;

  fromTypedArray(data: NumberArray, shape: readonly number[], dtype?: string, device?: string): Handle;
  copyTo(tensor: Handle, data: NumberArray): void;
  memory(tensor: Handle): ArrayBuffer;

  backward(
    outputs: readonly Handle[],
    gradients?: readonly Handle[],
    retainGraph?: boolean,
    createGraph?: boolean,
  ): void;
  backwardAsync(
    outputs: readonly Handle[],
    gradients?: readonly Handle[],
    retainGraph?: boolean,
    createGraph?: boolean,
  ): Promise<void>;
  gradients(
    outputs: readonly Handle[],
    inputs: readonly Handle[],
    outputGradients?: readonly Handle[],
    retainGraph?: boolean,
    createGraph?: boolean,
    allowUnused?: boolean,
  ): (Handle | null)[];
  getGradient(tensor: Handle): Handle | null;
  setGradient(tensor: Handle, gradient: Handle | null): void;
  requiresGrad(tensor: Handle, value?: boolean): boolean;
  isLeaf(tensor: Handle): boolean;
  setGradEnabled(enabled: boolean): boolean;

  manualSeed(seed: number | bigint): void;
  generatorState(device?: string): Handle;
  setGeneratorState(state: Handle, device?: string): void;
  threads(count?: number): number;
  setSwitch(name: string, on: boolean): void;
  devices(): readonly Gpu[];
  synchronize(device: string): void;
  autocast(device: string, dtype: string | null): void;
  information(): Information;
}

/** native/environment.cpp: needs no libtorch. */
export interface NativeEnvironment {
  /** Sets a variable of the process, unless it is set. */
  setDefault(name: string, value: string): void;
  /** Whether all freed memory stays with the process. False where the C library has no such setting. */
  keepFreedBlocks(on: boolean): boolean;
  /** Gives what is free to the system, once. */
  returnFreedBlocks(): void;
}

const require = createRequire(import.meta.url);
let loaded: NativeEngine | undefined;

/**
 * The addon, loaded on the first call. Importing this module needs no libtorch.
 * @throws FilterBasisError `engine-missing`, with cures, when the addon or a library that it needs is not there.
 */
export function loadEngine(): NativeEngine {
  return (loaded ??= load());
}

const builtFolder = (): string => join(packageRoot(), "native", "build", "Release");

function load(): NativeEngine {
  return loadFrom(builtFolder());
}

/** Whether libtorch's addon is in this process, which keeps freed memory for good. */
export const isEngineLoaded = (): boolean => loaded !== undefined;

/** The addon that needs no libtorch; undefined where nothing has been built. */
export function loadEnvironment(): NativeEnvironment | undefined {
  try {
    return require(join(builtFolder(), "environment.node")) as NativeEnvironment;
  } catch {
    return undefined;
  }
}

/** Loads the addon from a folder, after setting the environment that its libraries read while they are loaded. */
export function loadFrom(folder: string): NativeEngine {
  const file = join(folder, "engine.node");
  if (!existsSync(file)) throw missing("the native engine has not been built", file);
  try {
    const environment = require(join(folder, "environment.node")) as NativeEnvironment;
    // OpenMP and OpenBLAS read their variables once, while they are loaded.
    for (const [name, value] of Object.entries(environmentDefaults())) environment.setDefault(name, value);
    if (process.env.FILTERBASIS_NO_MALLOPT === undefined) environment.keepFreedBlocks(true);
    // A copy: V8 keeps an addon's exports as a dictionary, which every call of an operator would search.
    return { ...(require(file) as NativeEngine) };
  } catch (cause) {
    throw missing("the native engine could not be loaded", file, cause);
  }
}

function missing(message: string, file: string, cause?: unknown): FilterBasisError {
  const reason = cause instanceof Error ? `: ${cause.message.split("\n")[0]}` : "";
  return new FilterBasisError("engine-missing", message + reason, {
    file,
    cause,
    cures: [
      "filterbasis setup (on Debian and Ubuntu it installs libtorch-dev libopenblas0-pthread g++ make python3)",
      "with another libtorch: filterbasis setup --libtorch /path/to/libtorch",
      "after changing Node's or libtorch's version: filterbasis setup again",
    ],
  });
}

/** Why the engine cannot be loaded here, or undefined when it can: for tests that skip with a reason. */
export function unloadableReason(): string | undefined {
  try {
    loadEngine();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
