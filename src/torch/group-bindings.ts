// The addon's functions for groups of processes: native/group.cpp and native/reducer.cpp.
import type { Handle } from "./native.js";

declare const groupBrand: unique symbol;
declare const reducerBrand: unique symbol;

/** A group as the addon hands it out. */
export interface GroupHandle {
  readonly [groupBrand]: true;
}

/** Gradients in buckets. */
export interface ReducerHandle {
  readonly [reducerBrand]: true;
}

/** All but `groupBackends` are absent where libtorch has no c10d. */
export interface GroupBindings {
  /** Names with spaces between; empty where libtorch has no process groups. */
  groupBackends(): string;
  groupOpen(rank: number, size: number, callMs: number, answerMs: number): GroupHandle;
  groupStore(
    group: GroupHandle,
    fileOrHost: string,
    prefix: string,
    port: number | undefined,
    serve: boolean,
  ): Promise<void>;
  groupConnect(group: GroupHandle, backend: string, networkInterface: string, towards: string): Promise<void>;
  groupBeat(group: GroupHandle, key: string, everyMs: number): void;
  groupSet(group: GroupHandle, key: string, text: string): Promise<void>;
  groupAdd(group: GroupHandle, key: string, number: number): Promise<number>;
  groupGet(group: GroupHandle, keys: readonly string[]): Promise<(string | null)[]>;
  groupAllReduce(group: GroupHandle, tensors: readonly Handle[]): Promise<void>;
  groupBroadcast(group: GroupHandle, tensors: readonly Handle[], from: number): Promise<void>;
  groupAbort(group: GroupHandle): Promise<void>;
  groupLeave(group: GroupHandle): Promise<void>;

  reducerOpen(group: GroupHandle, parameters: readonly Handle[], firstBytes: number, otherBytes: number): ReducerHandle;
  reducerBegin(reducer: ReducerHandle, overlap: boolean): void;
  reducerFinish(reducer: ReducerHandle, numbers: readonly number[]): Promise<number[]>;
  reducerSizes(reducer: ReducerHandle): number[];
  reducerClose(reducer: ReducerHandle): void;
}
