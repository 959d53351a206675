// From an entry's `config` to the network that it describes. Every field must be known: one that is not is an error,
// never ignored.
import { z } from "zod";
import { FilterBasisError } from "../../src/errors/error.js";
import type { Graph, Pass } from "../../src/graph/types.js";
import { basisScratch } from "../../src/methods/basis-scratch.js";
import { factor } from "../../src/methods/factor.js";
import { group } from "../../src/methods/group.js";
import type { Preset } from "../../src/methods/presets.js";
import { buildNet } from "../../src/nets/table.js";
import { parse } from "./entry.js";

const count = z.int().positive();
const scale = z.union([z.literal(2), z.literal(3), z.literal(4)]);
const superResolution = { scale, blocks: count, width: count };

/** Fields of a network, whatever the method. */
const networks = {
  vgg16: z.object({ widthDivisor: count.optional(), norm: z.enum(["none", "batch"]).optional() }),
  resnet: z.object({ depth: count }),
  densenet: z.object({
    depth: count,
    growth: count.optional(),
    reduction: z.number().optional(),
    bottleneck: z.boolean().optional(),
  }),
  srresnet: z.object(superResolution),
  edsr: z.object({ ...superResolution, resScale: z.number().optional() }),
} as const;
type NetworkName = keyof typeof networks;

const presets: Readonly<Record<NetworkName, Preset>> = {
  vgg16: "vgg",
  resnet: "resnet",
  densenet: "densenet",
  srresnet: "srresnet",
  edsr: "edsr",
};

const layersOfOne = { plainFirstConvs: z.int().min(0).optional() };
const basisOfOne = {
  ...layersOfOne,
  p: count.optional(),
  m: count.optional(),
  groups: z.array(z.object({ p: count, m: count })).optional(),
  splits: count.optional(),
  coefficientKernel: z.union([z.literal(1), z.literal(3)]).optional(),
  transitionBottleneck: z.number().min(0).nullable().optional(),
  slice: z.enum(["first", "last"]).optional(),
  share: z.enum(["none", "block", "group", "network"]).optional(),
  betweenNormAndActivation: z.boolean().optional(),
};
const groupsOfOne = z.union([count, z.record(z.string(), count)]);

/** Fields of a method, whatever the network. */
const methods = {
  none: { fields: z.object({}), pass: (): Pass => (graph) => ({ graph, outcomes: [] }) },
  basis: {
    fields: z.object(basisOfOne),
    pass: (o: Partial<z.infer<z.ZodObject<typeof basisOfOne>>>, preset: Preset): Pass => {
      // The groups of a ResNet are told apart by their input channels: 16, 32, 64, ...
      const byChannels = (key: "p" | "m") =>
        Object.fromEntries((o.groups ?? []).map((entry, i) => [String(16 << i), entry[key]]));
      return basisScratch({
        preset,
        basis: o.groups === undefined ? (o.m ?? 0) : byChannels("m"),
        ...defined({
          channels: o.groups === undefined ? o.p : byChannels("p"),
          keepFirst: o.plainFirstConvs,
          splits: o.splits,
          coefficientKernel: o.coefficientKernel,
          slice: o.slice,
          share: o.share,
          insertNorm: o.betweenNormAndActivation,
          insertActivation: o.betweenNormAndActivation,
          transition: o.transitionBottleneck ?? undefined,
        }),
      });
    },
  },
  factor: {
    fields: z.object({ ...layersOfOne, sicLayers: count.optional() }),
    pass: (o: { plainFirstConvs?: number | undefined; sicLayers?: number | undefined }, preset: Preset): Pass =>
      factor({ preset, ...defined({ layers: o.sicLayers, keepFirst: o.plainFirstConvs }) }),
  },
  group: {
    fields: z.object({ ...layersOfOne, channelsPerGroup: groupsOfOne.optional(), groups: groupsOfOne.optional() }),
    pass: (
      o: {
        plainFirstConvs?: number | undefined;
        channelsPerGroup?: z.infer<typeof groupsOfOne> | undefined;
        groups?: z.infer<typeof groupsOfOne> | undefined;
      },
      preset: Preset,
    ): Pass =>
      group({
        preset,
        ...defined({ keepFirst: o.plainFirstConvs, channelsPerGroup: o.channelsPerGroup, groups: ranges(o.groups) }),
      }),
  },
} as const;

/** {upTo252Channels: 3, above: 6}: so many groups up to so many input channels, and above. */
function ranges(groups: z.infer<typeof groupsOfOne> | undefined) {
  if (groups === undefined || typeof groups === "number") return groups;
  return Object.entries(groups).map(([key, value]) => {
    const [, bound] = /^upTo(\d+)Channels$/.exec(key) ?? [];
    if (bound === undefined && key !== "above")
      throw new FilterBasisError("unsupported", "unknown range of channels", { field: `config.groups.${key}` });
    return bound === undefined ? { groups: value } : { upTo: Number(bound), groups: value };
  });
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** Only the fields that are there. */
function defined<T extends object>(fields: T): Partial<Defined<T>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Defined<T>>;
}

/**
 * The network of a config, with weights 0. Errors: `unsupported` for a network or method that is not known, `malformed`
 * for a field.
 */
export function buildFromConfig(config: unknown): Graph {
  const { network, method, ...rest } = parse(
    z.looseObject({ network: z.string(), method: z.string() }),
    config,
    "config",
  );
  if (!Object.hasOwn(networks, network)) throw unknown("network", network, networks);
  if (!Object.hasOwn(methods, method)) throw unknown("method", method, methods);
  const ofNetwork = networks[network as NetworkName];
  const ofMethod = methods[method as keyof typeof methods];
  const all = z.strictObject({
    ...ofNetwork.shape,
    ...ofMethod.fields.shape,
    ...(network === "vgg16" ? layersOfOne : {}),
  });
  const fields = parse(all, rest, "config") as Readonly<Record<string, unknown>>;
  const pick = (shape: object) => defined(Object.fromEntries(Object.keys(shape).map((key) => [key, fields[key]])));
  const graph = buildNet(network, { ...pick(ofNetwork.shape), init: "zeros" });
  const pass = ofMethod.pass(pick(ofMethod.fields.shape), presets[network as NetworkName]);
  const { graph: built, outcomes } = pass(graph);
  if (method !== "none" && !outcomes.some(({ applied }) => applied))
    throw new FilterBasisError("data-mismatch", `the method ${method} found nothing to do`, { field: "config" });
  return built;
}

function unknown(field: string, got: string, known: object): FilterBasisError {
  return new FilterBasisError("unsupported", `unknown ${field}`, {
    field: `config.${field}`,
    expected: Object.keys(known).join(", "),
    got,
  });
}
