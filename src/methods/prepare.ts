// What a model goes through before it is planned: changes that are exact, after which layers are found that an
// exporter's way of writing hid.
import type { Pass } from "../graph/types.js";
import { foldWeights } from "../passes/fold-weights.js";
import { inlineFunctions } from "../passes/inline-functions.js";
import { sequence } from "../passes/sequence.js";
import { widenStored } from "../passes/widen-stored.js";
import { compressedLayers } from "./compressed-layers.js";

/**
 * Inlines local functions and stores weights that are made from constants as the layers read them, both where that
 * is exact and the model does not grow. Layers that are compressed already stay as they are. Batch norms are folded
 * after this, where they are folded.
 */
export const prepareForPlanning: Pass = (graph) => {
  const keep = new Set(compressedLayers(graph).flatMap(({ parameters }) => parameters));
  return sequence(inlineFunctions, foldWeights({ keep }))(graph);
};

/** The same before weights are rounded, whatever the model grows by: those that are widened at load too. */
export const prepareForRounding: Pass = sequence(inlineFunctions, foldWeights({ grow: true }), widenStored);
