// The compressed layers of a network as the approximation term of Eq. 12 sees them: original filters beside basis and
// coefficients.

import { FilterBasisError } from "../errors/error.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph } from "../graph/types.js";
import { floats } from "../graph/values.js";
import type { Network } from "../interpreter/network.js";
import { compressedLayers } from "../methods/compressed-layers.js";
import { type LayerRecord, readRecord } from "../methods/record.js";
import { call, fromArray, type Tensor, unowned } from "../torch/index.js";
import type { ApproximatedLayer } from "./losses.js";

/** Names of the factors of a compressed graph (bases and coefficients, stages of chains), for training those alone. */
export function basisParameters(graph: Graph): ReadonlySet<string> {
  return new Set(compressedLayers(graph).flatMap(({ parameters }) => parameters));
}

/**
 * The layers whose filters W ~ BA can be held against the original's. Left out are those with something nonlinear
 * between basis and coefficients (there is no W then). The originals are tensors that the caller disposes.
 */
export function approximatedLayers(compressed: Graph, original: Graph, network: Network): readonly ApproximatedLayer[] {
  const find = indexOf(original).stored;
  return (readRecord(compressed)?.layers ?? [])
    .filter((layer) => layer.basisOnly !== true)
    .map((layer) => {
      const filters = find(layer.weight)?.tensor;
      if (filters === undefined || filters.dims.join() !== layer.shape.join()) {
        throw new FilterBasisError(
          "data-mismatch",
          "the original network does not have the filters that were compressed",
          {
            layer: layer.name,
            tensor: layer.weight,
            expected: `[${layer.shape.join(", ")}]`,
            got: filters === undefined ? "nothing" : `[${filters.dims.join(", ")}]`,
          },
        );
      }
      return {
        name: layer.name || layer.output,
        original: unowned(() => fromArray(floats(filters), filters.dims, "float32", network.device)),
        basis: basisOf(layer, parameter(network, layer.basis)),
        coefficients: parameter(network, layer.coefficients),
      };
    });
}

function basisOf({ slice }: LayerRecord, basis: Tensor): () => Tensor {
  return slice === undefined ? () => basis : () => call("slice.Tensor", basis, 1, slice[0], slice[1], 1);
}

function parameter(network: Network, name: string): Tensor {
  const found = network.parameters.get(name);
  if (found !== undefined) return found;
  throw new FilterBasisError("internal", "a basis or its coefficients are not trained", { tensor: name });
}
