// What the file held for one part of a graph. A part that nobody changed is written as the very bytes that were read; a
// part that was rewritten keeps what the graph does not know about it: doc strings, metadata, fields newer than this
// program.
import { feeds } from "../../graph/edit.js";
import type { Graph, Origin, ValueType } from "../../graph/types.js";

export interface Source {
  /** The part's message, a view on the file. */
  readonly bytes: Uint8Array;
  /** The object that was made of it: the very same object means unchanged. */
  readonly part: object;
  /** False where something inside lies in another file: the bytes alone no longer say everything. */
  readonly complete: boolean;
  /** The name in those bytes, for parts that do not carry theirs (tensors, attributes). */
  readonly name?: string;
  /** Of a model: where its main graph came from. */
  readonly body?: Source;
  /**
   * Of a graph: all its initializers were listed among its inputs, as old exporters do without meaning that a caller
   * should feed them.
   */
  readonly listsConstants?: boolean;
  /** Of a value: its TypeProto, and what that was read as. */
  readonly type?: Uint8Array;
  readonly read?: ValueType;
}

/** What is remembered beside the bytes. */
export type Remark = Partial<Pick<Source, "complete" | "name" | "body" | "listsConstants" | "type" | "read">>;

/** The part with its origin. */
export function withSource<T extends object>(
  part: T,
  bytes: Uint8Array,
  remark: Remark = {},
): T & { readonly origin: Source } {
  const source = { bytes, part: part as object, complete: true, ...remark };
  const made = { ...part, origin: source };
  source.part = made;
  return made;
}

/** Where a part came from, if it was read from bytes. */
export function sourceOf(part: { readonly origin?: Origin }): Source | undefined {
  const { origin } = part;
  if (typeof origin !== "object" || origin === null || !("bytes" in origin) || !(origin.bytes instanceof Uint8Array))
    return undefined;
  return origin as Source;
}

/** The bytes that were read for this part, if it is still the same and they say everything. */
export function unchangedBytes(part: { readonly origin?: Origin }): Uint8Array | undefined {
  const source = sourceOf(part);
  return source !== undefined && source.part === part && source.complete ? source.bytes : undefined;
}

/**
 * The IR version that a model must say it has: before 4, constants had to be listed among the inputs, and ONNX Runtime
 * insists on it. Passes that add constants to an old model need not know.
 */
export function neededIrVersion(graph: Pick<Graph, "irVersion" | "inputs" | "initializers">): number {
  if (graph.irVersion >= 4) return graph.irVersion;
  const listed = new Set(graph.inputs.map(({ name }) => name));
  return [...graph.initializers.keys()].every((name) => listed.has(name)) ? graph.irVersion : 4;
}

/**
 * The graph as a file may say it. Where the IR version is raised to 4, and where old exporters listed all constants
 * among the inputs, constants leave the inputs: from version 4 on ONNX Runtime takes a listed one for a value that the
 * caller may feed, and neither folds nor prepacks it.
 */
export function asWritten(graph: Graph): Graph {
  const irVersion = neededIrVersion(graph);
  const listed = sourceOf(graph)?.body?.listsConstants === true;
  if (irVersion < 4 || (irVersion === graph.irVersion && !listed)) return graph;
  return { ...graph, irVersion, inputs: feeds(graph) };
}

/** False where the part's bytes refer to another file. */
export function isComplete(part: { readonly origin?: Origin }): boolean {
  return sourceOf(part)?.complete ?? true;
}
