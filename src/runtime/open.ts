// Opening a model for running it. Our own reader and verifier see the bytes before native code does.
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { openOrtSession, type Session, type SessionOptions } from "./session.js";

/**
 * Opens a graph, the bytes of an ONNX file, or a path.
 * @throws FilterBasisError `malformed`, `invalid-graph`, `not-found`, `runtime-missing`, `runtime`
 */
export async function openSession(model: Graph | Uint8Array | string, options: SessionOptions = {}): Promise<Session> {
  if (typeof model === "string" || model instanceof Uint8Array) return openOrtSession(model, options);
  throw new FilterBasisError("unsupported", "graphs cannot be opened yet");
}
