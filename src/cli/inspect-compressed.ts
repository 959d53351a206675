// What `inspect` tells of layers that were compressed into ordinary nodes: chains, and codebooks.
import type { Graph } from "../graph/types.js";
import { storedBits } from "../methods/codes.js";
import { type CompressedLayer, compressedLayers } from "../methods/compressed-layers.js";
import { columns, grouped } from "./columns.js";

export interface CompressedReport {
  /** Layers that are chains of ordinary nodes. */
  readonly chains: readonly ChainReport[];
  /** Layers whose filters are looked up in a codebook. */
  readonly codebooks: readonly CodebookReport[];
  /** Where there are such: bits of all constants, indices at the width that they need. */
  readonly storedBits?: number;
}

type LayerReport = Pick<CompressedLayer, "name" | "filters" | "error" | "reason">;

interface ChainReport extends LayerReport {
  /** Family, splits and ranks. */
  readonly chain: string;
}

interface CodebookReport extends LayerReport {
  readonly codebook: string;
}

export function compressedReport(graph: Graph): CompressedReport {
  const layers = compressedLayers(graph);
  const chains = layers.filter(({ kind }) => kind === "chain");
  const codes = layers.filter(({ kind }) => kind === "code");
  return {
    chains: chains.map(({ name, filters, error, reason, description }) => ({
      ...{ name, filters, chain: description, error, ...(reason === undefined ? {} : { reason }) },
    })),
    codebooks: codes.map(({ name, filters, error, reason, description }) => ({
      ...{ name, filters, codebook: description, error, ...(reason === undefined ? {} : { reason }) },
    })),
    ...(codes.length === 0 ? {} : { storedBits: storedBits(graph) }),
  };
}

/** A blank line and a table for each kind that there is. */
export function showCompressed({ chains, codebooks, storedBits: bits = 0 }: CompressedReport): readonly string[] {
  const row = ({ name, filters, error, reason }: LayerReport, what: string) => [
    name,
    filters.join("x"),
    what,
    error === null ? "" : error.toFixed(4),
    reason ?? "",
  ];
  const inChains = chains.map((one) => row(one, one.chain));
  const inCodes = codebooks.map((one) => row(one, one.codebook));
  const title = `looked up in codebooks (${grouped(bits)} bits in all, indices at their true width):`;
  return [
    ...(chains.length === 0
      ? []
      : ["", "compressed in chains:", columns([["layer", "filters", "chain", "error", ""], ...inChains])]),
    ...(codebooks.length === 0
      ? []
      : ["", title, columns([["layer", "filters", "codebook", "error", ""], ...inCodes])]),
  ];
}
