// Opening a model for running it. Our own reader and verifier see the bytes before native code does.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isError } from "../errors/error.js";
import { readModel, writeModel } from "../formats/onnx/index.js";
import type { Graph } from "../graph/types.js";
import { verifyGraph } from "../ops/verify/verify.js";
import { loadModel, saveModel } from "./files.js";
import { defaultRuntime, openOrtSession, type Session, type SessionOptions } from "./session.js";

/**
 * Opens a graph, the bytes of an ONNX file, or a path (external data is found beside it).
 * @throws FilterBasisError `malformed`, `invalid-graph`, `not-found`, `runtime-missing`, `runtime`
 */
export async function openSession(model: Graph | Uint8Array | string, options: SessionOptions = {}): Promise<Session> {
  if (typeof model === "string") {
    const graph = await loadModel(model);
    const runtime = options.runtime ?? (await defaultRuntime());
    // The wasm has no file system: what lies beside the model goes in with it.
    return openOrtSession(runtime === "web" ? writeModel(graph) : model, { ...options, runtime });
  }
  if (model instanceof Uint8Array) {
    readModel(model);
    return openOrtSession(model, options);
  }
  verifyGraph(model);
  try {
    return await openOrtSession(writeModel(model), options);
  } catch (error) {
    if (!isError(error, "too-large")) throw error;
    return openLarge(model, options);
  }
}

/** A graph beyond protobuf's 2 GB goes through a file with its tensors beside it. */
async function openLarge(graph: Graph, options: SessionOptions): Promise<Session> {
  const folder = await mkdtemp(join(tmpdir(), "filterbasis-model-"));
  const clean = () => rm(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "model.onnx");
    await saveModel(graph, path, { external: "always" });
    const session = await openOrtSession(path, options);
    return {
      ...session,
      release: async () => {
        await session.release();
        await clean();
      },
    };
  } catch (error) {
    await clean();
    throw error;
  }
}
