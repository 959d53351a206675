// What networks are known by in the table of measured times.
import { createHash } from "node:crypto";
import { writeModelChunks } from "../formats/onnx/index.js";
import type { Graph } from "../graph/types.js";
import { externalWriter } from "../runtime/external-writer.js";

/** A key of networks' bytes, however many, and of the sizes of their inputs. */
export function networkKey(graphs: readonly Graph[], shapes: Iterable<unknown> | undefined): string {
  const hash = createHash("sha256");
  for (const graph of graphs) {
    const { put, pieces } = externalWriter("");
    const { chunks } = writeModelChunks(graph, put);
    for (const piece of [...chunks, ...pieces]) hash.update(piece);
  }
  return hash
    .update(JSON.stringify([...(shapes ?? [])]))
    .digest("hex")
    .slice(0, 32);
}
