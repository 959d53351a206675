// Undoing a compression, whatever kind its layers are of.
import { FilterBasisError } from "../errors/error.js";
import type { Graph, Pass, PassResult } from "../graph/types.js";
import { sequence } from "../passes/sequence.js";
import { kinds } from "./compressed-layers.js";
import { recordKey } from "./record.js";
import type { Precision } from "./store.js";

/**
 * The pass: every compressed layer becomes dense again. One that cannot is skipped with the reason and stays as it is.
 * @throws FilterBasisError `not-found` where nothing is compressed; `malformed` for a record that does not fit the
 * model or cannot be used
 */
export const expand: Pass = (graph) => expandAs(graph, "stored");

/**
 * The same, with dense filters in the type that the factors are stored in, or in the one that the model computes in.
 */
export function expandAs(graph: Graph, precision: Precision): PassResult {
  const passes = Object.values(kinds).map(
    (kind): Pass =>
      (one) =>
        kind.expand(one, precision),
  );
  const result = sequence(...passes)(graph);
  if (result.outcomes.length > 0) return result;
  const field = `metadata.${recordKey}`;
  if (graph.metadata.has(recordKey))
    throw new FilterBasisError("malformed", "the model does not fit its record of a compression", { field });
  throw new FilterBasisError("not-found", "the model has no record of a compression: there is nothing to undo", {
    field,
  });
}
