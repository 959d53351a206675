// The networks by name.
import { FilterBasisError } from "../errors/error.js";
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
  readonly build: (options?: Options) => Graph;
}

/** Every network by name; those with a number in their name are the same builder with options filled in. */
export const nets = {
  vgg16: {
    summary: "VGG-16 for CIFAR-10, one fully connected layer; norm: none | batch",
    task: "classification",
    build: (o?: VggOptions) => vgg16(o),
  },
  resnet: {
    summary: "ResNet for CIFAR-10 of any depth 6 n + 2",
    task: "classification",
    build: ({ depth = 56, ...o }: ResNetOptions & { readonly depth?: number } = {}) => resnet(depth, o),
  },
  resnet20: { summary: "ResNet-20 for CIFAR-10", task: "classification", build: (o?: ResNetOptions) => resnet(20, o) },
  resnet32: { summary: "ResNet-32 for CIFAR-10", task: "classification", build: (o?: ResNetOptions) => resnet(32, o) },
  resnet44: { summary: "ResNet-44 for CIFAR-10", task: "classification", build: (o?: ResNetOptions) => resnet(44, o) },
  resnet56: { summary: "ResNet-56 for CIFAR-10", task: "classification", build: (o?: ResNetOptions) => resnet(56, o) },
  resnet110: { summary: "ResNet-110 for CIFAR-10", task: "classification", build: (o?: ResNetOptions) => resnet(110, o) },
  densenet: {
    summary: "DenseNet for CIFAR-10; depth, growth, reduction, bottleneck",
    task: "classification",
    build: (o?: DenseNetOptions) => densenet(o),
  },
  "densenet-12-40": {
    summary: "DenseNet-12-40 for CIFAR-10",
    task: "classification",
    build: (o?: DenseNetOptions) => densenet({ depth: 40, growth: 12, ...o }),
  },
  "densenet-bc-12-100": {
    summary: "DenseNet-BC for CIFAR-10, 100 layers, growth 12",
    task: "classification",
    build: (o?: DenseNetOptions) => densenet({ depth: 100, growth: 12, reduction: 0.5, bottleneck: true, ...o }),
  },
  srresnet: {
    summary: "SRResNet, 16 blocks of 64 channels; scale 2 | 3 | 4",
    task: "super-resolution",
    build: (o?: SuperResolutionOptions) => srresnet(o),
  },
  edsr: {
    summary: "EDSR, 32 blocks of 256 channels; scale 2 | 3 | 4",
    task: "super-resolution",
    build: (o?: EdsrOptions) => edsr(o),
  },
  "edsr-8-128": {
    summary: "EDSR with 8 blocks of 128 channels; scale 2 | 3 | 4",
    task: "super-resolution",
    build: (o?: EdsrOptions) => edsr({ blocks: 8, width: 128, ...o }),
  },
} as const satisfies Record<string, Net<never>>;

export type NetName = keyof typeof nets;

/** Builds a network from its name and options that came from a file or a command line (each builder checks its own). */
export function buildNet(name: string, options: Readonly<Record<string, unknown>> = {}): Graph {
  if (!Object.hasOwn(nets, name))
    throw new FilterBasisError("not-found", `there is no network ${JSON.stringify(name)}`, {
      expected: Object.keys(nets).join(", "),
      got: name,
    });
  return (nets[name as NetName].build as (options: Readonly<Record<string, unknown>>) => Graph)(options);
}
