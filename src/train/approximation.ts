// The compressed layers of a network as the approximation term of Eq. 12 sees them: original filters beside basis and coefficients.

import { FilterBasisError } from "../errors/error.js";
import { indexOf } from "../graph/graph-index.js";
import type { Graph } from "../graph/types.js";
import { floats } from "../graph/values.js";
import type { Network } from "../interpreter/network.js";
import type { SiteRecord } from "../methods/record.js";
import { readRecord } from "../methods/record.js";
import { call, fromArray, type Tensor, unowned } from "../torch/index.js";
import type { ApproximatedLayer } from "./losses.js";

/** Names of the bases and coefficients of a compressed graph, for learning those alone. */
export function basisParameters(graph: Graph): ReadonlySet<string> {
  const sites = readRecord(graph)?.sites ?? [];
  return new Set(
    sites.flatMap(({ basis, coefficients, basisBias }) => [basis, coefficients, ...(basisBias === undefined ? [] : [basisBias])]),
  );
}

/**
 * The layers whose filters W ~ BA can be held against the original's. Left out are those with something nonlinear between basis and
 * coefficients (there is no W then). The originals are tensors that the caller disposes.
 */
export function approximatedLayers(compressed: Graph, original: Graph, network: Network): readonly ApproximatedLayer[] {
  const find = indexOf(original).stored;
  return (readRecord(compressed)?.sites ?? [])
    .filter((site) => site.between !== true)
    .map((site) => {
      const filters = find(site.weight)?.tensor;
      if (filters === undefined || filters.dims.join() !== site.shape.join()) {
        throw new FilterBasisError("data-mismatch", "the original network does not have the filters that were compressed", {
          layer: site.name,
          tensor: site.weight,
          expected: `[${site.shape.join(", ")}]`,
          got: filters === undefined ? "nothing" : `[${filters.dims.join(", ")}]`,
        });
      }
      return {
        name: site.name || site.output,
        original: unowned(() => fromArray(floats(filters), filters.dims, "float32", network.device)),
        basis: basisOf(site, parameter(network, site.basis)),
        coefficients: parameter(network, site.coefficients),
      };
    });
}

function basisOf({ slice }: SiteRecord, basis: Tensor): () => Tensor {
  return slice === undefined ? () => basis : () => call("slice.Tensor", basis, 1, slice[0], slice[1], 1);
}

function parameter(network: Network, name: string): Tensor {
  const found = network.parameters.get(name);
  if (found !== undefined) return found;
  throw new FilterBasisError("internal", "a basis or its coefficients do not learn", { tensor: name });
}
