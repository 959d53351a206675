// The compressed layers that a file's own records tell of: those over a basis, and chains of convolutions.
import type { Graph } from "../graph/types.js";
import { describeChain, readChains } from "../methods/chain-record.js";
import { readRecord } from "../methods/record.js";
import type { CompressedLayerRow } from "./compression.js";

export const basisRows = (graph: Graph): readonly CompressedLayerRow[] =>
  (readRecord(graph)?.layers ?? []).map(({ name, output, shape, splits, basisSize, layout }) => ({
    name: name || output,
    filters: shape,
    factors: `basis ${splits} x ${basisSize}, ${layout}`,
  }));

export const chainRows = (graph: Graph): readonly CompressedLayerRow[] =>
  readChains(graph).map(({ name, output, shape: { n, c, kernel }, error, ...chain }) => ({
    name: name || output,
    filters: [n, c, ...kernel],
    factors: describeChain(chain),
    ...(error === null ? {} : { error }),
  }));
