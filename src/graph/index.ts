// The graph: ONNX as plain readonly data, and what can be said and done about it without running it.
export * as attribute from "./attributes.js";

export {
  feeds,
  freshNames,
  withMetadata,
} from "./edit.js";
export { indexOf } from "./graph-index.js";
export { printGraph } from "./print.js";
export * from "./types.js";
export { floats, numbers, tensorOf } from "./values.js";
