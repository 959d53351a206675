// The networks by name.
import * as z from "zod/mini";
import { FilterBasisError } from "../errors/error.js";
import { messages } from "../errors/schema-messages.js";
import { initRules } from "../graph/initialise.js";
import type { Graph } from "../graph/types.js";
import { type DenseNetOptions, densenet } from "./densenet.js";
import { type EdsrOptions, edsr } from "./edsr.js";
import { type ResNetOptions, resnet } from "./resnet.js";
import { srresnet } from "./srresnet.js";
import type { SuperResolutionOptions } from "./super-resolution.js";
import { type VggOptions, vgg16 } from "./vgg.js";

/** One network of the zoo. */
export interface Net<Options> {
  readonly summary: string;
  readonly task: "classification" | "super-resolution";
  /** What its options may be; nothing else is taken. */
  readonly options: z.ZodMiniObject;
  readonly build: (options?: Options) => Graph;
}

const count = z.int().check(z.positive());
const common = { init: z.enum(["authors", ...initRules]), seed: z.int().check(z.nonnegative()) };
const classifier = { ...common, classes: count };
const options = {
  vgg: z.partial(z.strictObject({ ...classifier, norm: z.enum(["none", "batch"]), widthDivisor: count })),
  resnet: z.partial(
    z.strictObject({
      ...classifier,
      depth: count,
      widths: z.array(count).check(z.minLength(1)),
      shortcut: z.enum(["average", "stride"]),
      stemBias: z.boolean(),
    }),
  ),
  densenet: z.partial(
    z.strictObject({
      ...classifier,
      depth: count,
      growth: count,
      reduction: z.number().check(z.gt(0), z.lte(1)),
      bottleneck: z.boolean(),
    }),
  ),
  srresnet: z.partial(z.strictObject({ ...common, scale: z.literal([2, 3, 4]), blocks: count, width: count })),
  edsr: z.partial(
    z.strictObject({ ...common, scale: z.literal([2, 3, 4]), blocks: count, width: count, resScale: z.number() }),
  ),
} as const;
const fixedDepth = z.omit(options.resnet, { depth: true });

/** Every network by name; those with a number in their name are the same builder with options filled in. */
export const nets = {
  vgg16: {
    summary: "VGG-16 for CIFAR-10, one fully connected layer; norm: none | batch",
    task: "classification",
    options: options.vgg,
    build: (o?: VggOptions) => vgg16(o),
  },
  resnet: {
    summary: "ResNet for CIFAR-10 of any depth 6 n + 2",
    task: "classification",
    options: options.resnet,
    build: ({ depth = 56, ...o }: ResNetOptions & { readonly depth?: number } = {}) => resnet(depth, o),
  },
  resnet20: {
    summary: "ResNet-20 for CIFAR-10",
    task: "classification",
    options: fixedDepth,
    build: (o?: ResNetOptions) => resnet(20, o),
  },
  resnet32: {
    summary: "ResNet-32 for CIFAR-10",
    task: "classification",
    options: fixedDepth,
    build: (o?: ResNetOptions) => resnet(32, o),
  },
  resnet44: {
    summary: "ResNet-44 for CIFAR-10",
    task: "classification",
    options: fixedDepth,
    build: (o?: ResNetOptions) => resnet(44, o),
  },
  resnet56: {
    summary: "ResNet-56 for CIFAR-10",
    task: "classification",
    options: fixedDepth,
    build: (o?: ResNetOptions) => resnet(56, o),
  },
  resnet110: {
    summary: "ResNet-110 for CIFAR-10",
    task: "classification",
    options: fixedDepth,
    build: (o?: ResNetOptions) => resnet(110, o),
  },
  densenet: {
    summary: "DenseNet for CIFAR-10; depth, growth, reduction, bottleneck",
    task: "classification",
    options: options.densenet,
    build: (o?: DenseNetOptions) => densenet(o),
  },
  "densenet-12-40": {
    summary: "DenseNet-12-40 for CIFAR-10",
    task: "classification",
    options: options.densenet,
    build: (o?: DenseNetOptions) => densenet({ depth: 40, growth: 12, ...o }),
  },
  "densenet-bc-12-100": {
    summary: "DenseNet-BC for CIFAR-10, 100 layers, growth 12",
    task: "classification",
    options: options.densenet,
    build: (o?: DenseNetOptions) => densenet({ depth: 100, growth: 12, reduction: 0.5, bottleneck: true, ...o }),
  },
  srresnet: {
    summary: "SRResNet, 16 blocks of 64 channels; scale 2 | 3 | 4",
    task: "super-resolution",
    options: options.srresnet,
    build: (o?: SuperResolutionOptions) => srresnet(o),
  },
  edsr: {
    summary: "EDSR, 32 blocks of 256 channels; scale 2 | 3 | 4",
    task: "super-resolution",
    options: options.edsr,
    build: (o?: EdsrOptions) => edsr(o),
  },
  "edsr-8-128": {
    summary: "EDSR with 8 blocks of 128 channels; scale 2 | 3 | 4",
    task: "super-resolution",
    options: options.edsr,
    build: (o?: EdsrOptions) => edsr({ blocks: 8, width: 128, ...o }),
  },
} as const satisfies Record<string, Net<never>>;

export type NetName = keyof typeof nets;

/**
 * Builds a network from its name and options that came from a file or a command line.
 * @throws FilterBasisError `not-found`, `usage` naming the option
 * @example
 * ```ts
 * import { buildNet, cost } from "filterbasis";
 *
 * console.log(cost(buildNet("resnet", { depth: 8, classes: 2 })).weights);
 * ```
 */
export function buildNet(name: string, given: Readonly<Record<string, unknown>> = {}): Graph {
  const { build, options: schema } = netOf(name);
  const checked = schema.safeParse(given, messages);
  if (!checked.success) {
    const faults = checked.error.issues.map(({ path, message }) =>
      path.length > 0 ? `${path.join(".")}: ${message}` : message,
    );
    throw new FilterBasisError("usage", faults.join("; "), {
      field: `network ${name}`,
      expected: `of ${netOptions(name).join(", ")}`,
    });
  }
  return (build as (options: Readonly<Record<string, unknown>>) => Graph)(checked.data);
}

/** The names of a network's options. */
export function netOptions(name: string): readonly string[] {
  return Object.keys(netOf(name).options.shape);
}

function netOf(name: string): (typeof nets)[NetName] {
  if (Object.hasOwn(nets, name)) return nets[name as NetName];
  throw new FilterBasisError("not-found", `there is no network ${JSON.stringify(name)}`, {
    expected: Object.keys(nets).join(", "),
    got: name,
  });
}
