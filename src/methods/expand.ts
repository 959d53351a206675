// Undoing a compression, whatever kind its layers are of.
import { FilterBasisError } from "../errors/error.js";
import type { Graph, Pass } from "../graph/types.js";
import { sequence } from "../passes/sequence.js";
import { kinds } from "./compressed-layers.js";
import { recordKey } from "./record.js";

/**
 * The pass: every compressed layer becomes dense again. One that cannot is skipped with the reason and stays as it is.
 * @throws FilterBasisError `not-found` where nothing is compressed; `malformed` for a record that does not fit the
 * model or cannot be used
 */
export const expand: Pass = (graph) => {
  const result = sequence(
    ...Object.values(kinds).map(
      ({ expand: own }) =>
        (one: Graph) =>
          own(one),
    ),
  )(graph);
  if (result.outcomes.length > 0) return result;
  const field = `metadata.${recordKey}`;
  if (graph.metadata.has(recordKey))
    throw new FilterBasisError("malformed", "the model does not fit its record of a compression", { field });
  throw new FilterBasisError("not-found", "the model has no record of a compression: there is nothing to undo", {
    field,
  });
};
