// The library's door: everything public, names listed by hand. The engine and the runtimes load on first use only.

export { type ErrorCode, type ErrorPlace, FilterBasisError, isError } from "./errors/error.js";
export type { Graph, Node, TensorData } from "./graph/types.js";
