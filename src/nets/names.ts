// What other people call the parameters of the networks: from the names in a weight file to those of our graphs.

import { elements } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { readRecord } from "../methods/record.js";

type Rule = readonly [RegExp, string];

/**
 * A way to name parameters: rules from its names to ours; the first that matches is taken, a name that none matches
 * stays.
 */
export interface NameScheme {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** Parts that every layer's parameters end in. */
const part = "(weight|bias|running_mean|running_var)$";
const rule = (from: string, to: string): Rule => [new RegExp(`^${from}`), to];

/**
 * Names of the authors' compressed networks: one module stands where ours has several nodes below the original
 * convolution.
 */
const authors: readonly Rule[] = [
  // VGG: features.N.conv.{0 basis or group, 1 norm, 3 coefficients, 4 the original norm}
  rule(String.raw`(features\.\d+)\.conv\.0\.body\.(\d+)\.body\.0\.${part}`, "$1.0.sic.$2.depthwise.$3"),
  rule(String.raw`(features\.\d+)\.conv\.0\.body\.(\d+)\.body\.1\.${part}`, "$1.0.sic.$2.depthwise.norm.$3"),
  rule(String.raw`(features\.\d+)\.conv\.0\.body\.(\d+)\.body\.2\.${part}`, "$1.0.sic.$2.pointwise.$3"),
  rule(String.raw`(features\.\d+)\.conv\.0\.body\.(\d+)\.body\.3\.${part}`, "$1.0.sic.$2.pointwise.norm.$3"),
  rule(String.raw`(features\.\d+)\.conv\.0\.${part}`, "$1.0.first.$2"),
  rule(String.raw`(features\.\d+)\.conv\.1\.${part}`, "$1.0.between.$2"),
  rule(String.raw`(features\.\d+)\.conv\.3\.${part}`, "$1.0.second.$2"),
  rule(String.raw`(features\.\d+)\.conv\.4\.${part}`, "$1.1.$2"),
  // DenseNet: body.0.conv.{0 norm, 2 basis, 3 norm, 5 coefficients}; transitions module.{0 norm, 2, 3}
  rule(String.raw`(features\.\d+\.\d+)\.body\.0\.conv\.2\.basis$`, "$1.body.2.basis.weight"),
  rule(String.raw`(features\.\d+\.\d+)\.body\.0\.conv\.2\.basis_bias$`, "$1.body.2.basis.bias"),
  rule(
    String.raw`(features\.\d+\.\d+)\.body\.0\.conv\.3\.(weight|bias|running_mean|running_var)$`,
    "$1.body.2.between.$2",
  ),
  rule(String.raw`(features\.\d+\.\d+)\.body\.0\.conv\.5\.${part}`, "$1.body.2.coefficients.$2"),
  rule(String.raw`(features\.\d+)\.module\.0\.${part}`, "$1.0.$2"),
  rule(String.raw`(features\.\d+)\.module\.2\.${part}`, "$1.2.reduce.$2"),
  rule(String.raw`(features\.\d+)\.module\.3\.${part}`, "$1.2.expand.$2"),
  rule(String.raw`(features\.\d+\.\d+\.body\.2)\.body\.(\d+)\.body\.0\.${part}`, "$1.sic.$2.depthwise.$3"),
  rule(String.raw`(features\.\d+\.\d+\.body\.2)\.body\.(\d+)\.body\.1\.${part}`, "$1.sic.$2.depthwise.norm.$3"),
  rule(String.raw`(features\.\d+\.\d+\.body\.2)\.body\.(\d+)\.body\.2\.${part}`, "$1.sic.$2.pointwise.$3"),
  // ResNet: body.{0,3}.conv.{0 basis or group, 1 coefficients}
  rule(String.raw`(features\.\d+\.\d+\.body\.\d+)\.conv\.0\.basis_(weight|bias)$`, "$1.basis.$2"),
  rule(String.raw`(features\.\d+\.\d+\.body\.\d+)\.conv\.0\.${part}`, "$1.first.$2"),
  rule(String.raw`(features\.\d+\.\d+\.body\.\d+)\.conv\.1\.${part}`, "$1.second.$2"),
  // SRResNet: body.R.body.{0,1}.conv.{0 basis, 1 norm, 2 PReLU, 3 coefficients, 4 norm, 5 PReLU}
  rule(String.raw`(body\.\d+)\.body\.0\.conv\.0\.basis_(weight|bias)$`, "$1.body.0.basis.$2"),
  rule(String.raw`(body\.\d+)\.body\.0\.conv\.1\.${part}`, "$1.body.0.between.$2"),
  rule(String.raw`(body\.\d+)\.body\.0\.conv\.3\.${part}`, "$1.body.0.coefficients.$2"),
  rule(String.raw`(body\.\d+)\.body\.0\.conv\.4\.${part}`, "$1.body.1.$2"),
  rule(String.raw`(body\.\d+)\.body\.1\.conv\.0\.basis_(weight|bias)$`, "$1.body.3.basis.$2"),
  rule(String.raw`(body\.\d+)\.body\.1\.conv\.1\.${part}`, "$1.body.3.between.$2"),
  rule(String.raw`(body\.\d+)\.body\.1\.conv\.3\.${part}`, "$1.body.3.coefficients.$2"),
  rule(String.raw`(body\.\d+)\.body\.1\.conv\.4\.${part}`, "$1.body.4.$2"),
  rule(String.raw`body\.\d+\.body\.[01]\.conv\.[25]\.weight$`, "head.1.weight"),
  // EDSR: one module with all four
  rule(String.raw`(body\.\d+\.body\.\d+)\.basis_(weight|bias)$`, "$1.basis.$2"),
  rule(String.raw`(body\.\d+\.body\.\d+)\.proj_(weight|bias)$`, "$1.coefficients.$2"),
  // SIC layers without norm: ResNet, SRResNet, EDSR
  rule(
    String.raw`((?:features\.\d+\.\d+|body\.\d+)\.body\.\d+)\.body\.(\d+)\.body\.0\.${part}`,
    "$1.sic.$2.depthwise.$3",
  ),
  rule(
    String.raw`((?:features\.\d+\.\d+|body\.\d+)\.body\.\d+)\.body\.(\d+)\.body\.1\.${part}`,
    "$1.sic.$2.pointwise.$3",
  ),
];

/** ResNets for CIFAR as in torchvision and in many repositories. */
const resnet: readonly Rule[] = [
  rule(String.raw`conv1\.${part}`, "features.0.0.$1"),
  rule(String.raw`bn1\.${part}`, "features.0.1.$1"),
  rule(String.raw`layer(\d+)\.(\d+)\.conv1\.${part}`, "features.$1.$2.body.0.$3"),
  rule(String.raw`layer(\d+)\.(\d+)\.bn1\.${part}`, "features.$1.$2.body.1.$3"),
  rule(String.raw`layer(\d+)\.(\d+)\.conv2\.${part}`, "features.$1.$2.body.3.$3"),
  rule(String.raw`layer(\d+)\.(\d+)\.bn2\.${part}`, "features.$1.$2.body.4.$3"),
  rule(String.raw`(?:fc|linear)\.${part}`, "classifier.$1"),
];

/** torchvision's DenseNet; blocks and layers count from 1. Numbers are moved by `densenetNumber`. */
const densenet: readonly Rule[] = [
  rule(String.raw`features\.conv0\.${part}`, "features.0.$1"),
  rule(String.raw`features\.norm[45]\.${part}`, "features.6.$1"),
];

/** torchvision's VGG: one flat list of convolution, (norm,) ReLU and pool. */
function vgg(graph: Graph): readonly Rule[] {
  const normed = graph.initializers.has("features.0.1.weight");
  const rules: Rule[] = [rule(String.raw`classifier\.0\.${part}`, "classifier.$1")];
  let index = 0;
  for (let module = 0; module < 18; module++) {
    if ([2, 5, 9, 13, 17].includes(module)) {
      index += 1;
      continue;
    }
    rules.push(rule(String.raw`features\.${index++}\.${part}`, `features.${module}.0.$1`));
    if (normed) rules.push(rule(String.raw`features\.${index++}\.${part}`, `features.${module}.1.$1`));
    index += 1;
  }
  return rules;
}

/** The schemes to try on a graph, in order; the first is our own names. */
export function nameSchemes(graph: Graph): readonly NameScheme[] {
  return [
    { name: "own", rules: [] },
    { name: "authors", rules: authors },
    { name: "torchvision ResNet", rules: resnet },
    { name: "torchvision VGG", rules: vgg(graph) },
    { name: "torchvision DenseNet", rules: [...densenet, ...densenetLayers(graph)] },
  ];
}

function densenetLayers(graph: Graph): readonly Rule[] {
  const bottleneck = [...graph.initializers.keys()].some((name) => name.endsWith(".body.5.weight"));
  const modules = bottleneck ? { norm1: 0, conv1: 2, norm2: 3, conv2: 5 } : { norm1: 0, conv1: 2 };
  const layers = [...graph.initializers.keys()].flatMap((name) => {
    const [, block, layer] = /^features\.([135])\.(\d+)\.body\.0\.weight$/.exec(name) ?? [];
    return block === undefined || layer === undefined ? [] : [{ block: Number(block), layer: Number(layer) }];
  });
  return [
    ...layers.flatMap(({ block, layer }) =>
      Object.entries(modules).map(([module, index]) =>
        rule(
          String.raw`features\.denseblock${(block + 1) / 2}\.denselayer${layer + 1}\.${module}\.${part}`,
          `features.${block}.${layer}.body.${index}.$1`,
        ),
      ),
    ),
    ...[2, 4].flatMap((module) => [
      rule(String.raw`features\.transition${module / 2}\.norm\.${part}`, `features.${module}.0.$1`),
      rule(String.raw`features\.transition${module / 2}\.conv\.${part}`, `features.${module}.2.$1`),
    ]),
  ];
}

/**
 * What a layer's first and second layer are called depends on the method (DenseNet's first is the norm); the network
 * tells which it is.
 */
const places = [
  [".first.", [".basis.", ".grouped.", "."]],
  [".second.", [".coefficients.", ".pointwise."]],
] as const;

/** Our initializer for a name of a scheme, or undefined where the graph has none. */
export function translator(graph: Graph, { rules }: NameScheme): (name: string) => string | undefined {
  const layers = readRecord(graph)?.layers ?? [];
  const basisOf = new Map(layers.map(({ name, basis }) => [name, basis]));
  const bases = [...new Set(layers.map(({ basis }) => basis))];
  return (name) => translate(name, rules, graph, bases, basisOf);
}

function translate(
  name: string,
  rules: readonly Rule[],
  graph: Graph,
  bases: readonly string[],
  basisOf: ReadonlyMap<string, string>,
): string | undefined {
  const own =
    rules.reduce<string | undefined>(
      (found, [from, to]) => found ?? (from.test(name) ? name.replace(from, to) : undefined),
      undefined,
    ) ?? name;
  const candidates = places.reduce<string[]>(
    (list, [general, special]) =>
      list.flatMap((entry) => (entry.includes(general) ? special.map((to) => entry.replace(general, to)) : [entry])),
    [own],
  );
  const present = candidates.find((entry) => graph.initializers.has(entry));
  if (present !== undefined) return present;
  for (const entry of candidates) {
    const shared = entry.endsWith(".basis.weight") ? basisOf.get(entry.slice(0, -".basis.weight".length)) : undefined;
    if (shared !== undefined) return shared;
  }
  const [, number] = /^basis(\d*)$/.exec(name) ?? [];
  if (number !== undefined) return bases[number === "" ? 0 : Number(number) - 1];
  return readBySharedNode(own, graph);
}

/** `X.weight` where X is a node that reads a parameter of another name: a PReLU whose slope is shared. */
function readBySharedNode(name: string, graph: Graph): string | undefined {
  if (!name.endsWith(".weight")) return undefined;
  const node = graph.nodes.find(
    (candidate) => candidate.op === "PRelu" && candidate.name === name.slice(0, -".weight".length),
  );
  const slope = node?.inputs[1];
  return slope !== undefined && graph.initializers.has(slope) ? slope : undefined;
}

/** Elements of the graph's float initializers: what a weight file has to fill. */
export function parameterNames(graph: Graph): readonly string[] {
  return [...graph.initializers]
    .filter(([, { type, dims }]) => type === "float32" && elements(dims) > 0)
    .map(([name]) => name);
}
