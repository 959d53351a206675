// The compression that a recipe asks for: a method's name and its options, checked, as a pass over the graph.
import * as z from "zod";
import { layouts } from "../basis/layouts.js";
import { FilterBasisError } from "../errors/error.js";
import type { Pass } from "../graph/types.js";
import type { BasisOptions } from "../methods/basis.js";
import { type MethodName, methods } from "../methods/methods.js";
import { shares } from "../methods/sharing.js";

const count = z.int().positive();
const byChannels = z.union([count, z.record(z.string(), count)]);
const fraction = z.number().gt(0).max(1);
const patterns = z.array(z.string());
const slice = z.enum(["first", "last"]);

const fromWeights = z.strictObject({
  splits: z.union([count, z.literal("auto"), z.literal("channels")]),
  basis: count,
  keepParams: fraction,
  keepMacs: fraction,
  share: z.enum(shares),
  shareNamed: z.record(z.string(), patterns),
  slice,
  only: patterns,
  skip: patterns,
  layers: z.record(z.string(), z.strictObject({ splits: count.optional(), basis: count.optional() })),
  layout: z.enum(layouts),
  inputs: z.record(z.string(), z.array(z.union([count, z.string(), z.null()]))),
});

const selection = { only: z.string(), keepFirst: z.int().min(0), preset: z.string(), init: z.string(), seed: z.int().min(0) };
const scratch = z.strictObject({
  ...selection,
  basis: byChannels,
  channels: byChannels,
  splits: count,
  share: z.enum(shares),
  slice,
  insertNorm: z.boolean(),
  insertActivation: z.boolean(),
  coefficientKernel: z.union([z.literal(1), z.literal(3)]),
  transition: count,
  layout: z.enum(["split", "batch-folded", "grouped"]),
});
const factor = z.strictObject({
  ...selection,
  layers: count,
  norm: z.enum(["none", "between", "both"]),
  bias: z.boolean(),
  widen: z.enum(["first", "last"]),
  dropNorm: z.boolean(),
});
const groups = z.strictObject({
  ...selection,
  channelsPerGroup: byChannels,
  groups: z.union([count, z.array(z.strictObject({ upTo: count.optional(), groups: count })).min(1)]),
  insertNorm: z.boolean(),
  bias: z.boolean(),
  narrow: z.boolean(),
});
const transition = z.strictObject({ bottleneck: count, init: z.string(), seed: z.int().min(0) });

/** A method's options as a recipe or a command line may give them. */
const options: Readonly<Record<MethodName, z.ZodObject>> = {
  basis: fromWeights,
  "filter-wise": fromWeights,
  "channel-wise": fromWeights,
  svd: fromWeights,
  "basis-scratch": scratch,
  factor,
  group: groups,
  transition,
};

/** The pass of a method; `moments` of what layers see are for the methods that start from filters. Throws `not-found` for an unknown method, `invalid-recipe` for options that it does not have. */
export function methodPass(name: string, given: Readonly<Record<string, unknown>>, moments?: BasisOptions["moments"]): Pass {
  if (!Object.hasOwn(methods, name)) {
    throw new FilterBasisError("not-found", "there is no such method", {
      field: "compress.method",
      expected: Object.keys(methods).join(", "),
      got: name,
    });
  }
  const schema = options[name as MethodName].partial();
  const checked = schema.safeParse(given);
  if (!checked.success) {
    const faults = checked.error.issues.map(({ path, message }) => `${["compress", ...path].join(".")}: ${message}`);
    throw new FilterBasisError("invalid-recipe", faults.join("; "), { field: "compress" });
  }
  const { inputs, ...rest } = given;
  const shapes = inputs === undefined ? {} : { inputs: new Map(Object.entries(inputs as object)) };
  const seen = moments === undefined ? {} : { moments };
  return (methods[name as MethodName].pass as (options: Readonly<Record<string, unknown>>) => Pass)({
    ...rest,
    ...shapes,
    ...seen,
  });
}
