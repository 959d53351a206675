// Every network at every operating point of the paper: weights, totals and MACs, layer by layer, to the last digit.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { buildFromConfig } from "../scripts/parity/config.js";
import { elements } from "../src/graph/attributes.js";
import type { Graph } from "../src/graph/types.js";
import { cost } from "../src/ops/cost/cost.js";
import { lowerBasisConv } from "../src/passes/lower-basis-conv.js";
import { configOf } from "./authors-command.js";
import { noShared, shared } from "./shared.js";

const size = z.object({ shape: z.array(z.number()), n: z.number(), shared_with: z.string().optional() });
const layer = z.looseObject({
  name: z.string(),
  type: z.string(),
  macs: z.number(),
  macs_basis: z.number().optional(),
  macs_proj: z.number().optional(),
  out_shape: z.array(z.number()).optional(),
  params: z.union([z.string(), z.record(z.string(), size)]),
});
const model = z.looseObject({
  command_line: z.string(),
  input_shape: z.array(z.number()),
  macs_total: z.number(),
  counts: z.record(z.string(), z.number()),
  residual_block: z.record(z.string(), z.number()).optional(),
  layers: z.array(layer),
});
type Layer = z.infer<typeof layer>;

const file = shared("spec/counts.json");
const models =
  file === undefined
    ? {}
    : z.looseObject({ models: z.record(z.string(), model) }).parse(JSON.parse(readFileSync(file, "utf8"))).models;
const weightsKey = "weights_only(conv+linear weights, no bias/BN/PReLU)";

/**
 * Convolutions and fully connected layers in order: MACs, and output channels. A module that is basis and coefficients
 * at once is two.
 */
function recordedLayers(layers: readonly Layer[]): readonly number[] {
  return layers
    .filter(({ macs }) => macs > 0)
    .flatMap(({ macs, macs_basis: basis, macs_proj: projection }) =>
      basis === undefined || projection === undefined ? [macs] : [basis, projection],
    );
}

/** Weights of each of these layers; of a shared basis they stand where it is read first. */
function recordedWeights(layers: readonly Layer[]): readonly number[] {
  const seen = new Set<string>();
  return layers
    .filter(({ macs }) => macs > 0)
    .flatMap(({ name, params }) => {
      if (typeof params === "string") throw new Error(`${name} has no weights`);
      const of = Object.entries(params).filter(([key]) =>
        ["weight", "basis", "basis_weight", "proj_weight"].includes(key),
      );
      return of.map(([key, { n, shared_with: owner }]) => {
        const first = owner ?? `${name}.${key}`;
        if (seen.has(first)) return 0;
        seen.add(first);
        return n;
      });
    });
}

/** Everything that is trained. */
function total(graph: Graph): number {
  return [...graph.initializers]
    .filter(([name, { type }]) => type === "float32" && !/running_(mean|var)$/.test(name))
    .reduce((sum, [, { dims }]) => sum + elements(dims), 0);
}

describe.skipIf(file === undefined)(
  `counts of the paper's networks${file === undefined ? ` (${noShared})` : ""}`,
  () => {
    it("covers all 46 operating points", () => {
      expect(Object.keys(models)).toHaveLength(46);
    });

    it.each(Object.entries(models))("%s has the recorded weights, total and MACs, layer by layer", (_, recorded) => {
      const graph = buildFromConfig(configOf(recorded.command_line));
      const inputs = new Map([["input", [1, ...recorded.input_shape]]]);
      const counted = cost(graph, inputs);
      expect(counted.weights).toBe(recorded.counts[weightsKey]);
      expect(total(graph)).toBe(recorded.counts.total);
      expect(counted.macs).toBe(recorded.macs_total);
      // The record lists basis and coefficients apart, as a file has them.
      const { layers } = cost(lowerBasisConv(graph), inputs);
      expect(layers.map(({ macs }) => macs)).toEqual(recordedLayers(recorded.layers));
      expect(layers.map(({ weights }) => weights)).toEqual(recordedWeights(recorded.layers));
      const block = counted.layers.filter(({ node }) => node.startsWith("body.0."));
      if (recorded.residual_block !== undefined)
        expect(block.reduce((sum, { weights }) => sum + weights, 0)).toBe(recorded.residual_block[weightsKey]);
    });
  },
);
