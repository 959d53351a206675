// What is known of one network before anything is done to it: inputs with which it runs, counts, memory, its own noise.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readModel } from "../../src/formats/onnx/index.js";
import { readInt } from "../../src/graph/attributes.js";
import type { Graph } from "../../src/graph/types.js";
import { isFloat } from "../../src/graph/values.js";
import { readAnswer } from "./answers.js";
import { runCommand } from "./command.js";
import type { Subject } from "./examine.js";
import { runnableFeeds } from "./feeds.js";
import { bytesOf, countsOf, difference, type Effort, peakOf } from "./measure.js";
import type { WildModel } from "./models.js";
import type { ModelFacts } from "./rows.js";

export interface SubjectOptions {
  readonly effort: Effort;
  readonly commit: string;
  readonly source: string;
  readonly folder: string;
}

export async function subjectOf(
  model: WildModel,
  { effort, commit, source, folder }: SubjectOptions,
): Promise<Subject> {
  const own = join(folder, model.name);
  mkdirSync(own, { recursive: true });
  // The sizes that filterbasis takes come first, so that what it counts and what is measured here is the same network.
  const told = readAnswer((await runCommand(["inspect", model.path])).stdout).sizes;
  const found = await runnableFeeds(model, told);
  const runs = "why" in found ? undefined : found;
  const sizes = runs?.sizes ?? new Map();
  const counts = await countsOf(model.path, sizes);
  const feeds = runs?.feeds ?? [];
  const graph = readUnverified(model.path);
  const facts: ModelFacts = {
    name: model.name,
    source,
    bytes: bytesOf(model.path),
    sizes: Object.fromEntries(sizes),
    ...("why" in found ? { why: found.why } : {}),
    ...(counts === undefined ? {} : { weights: counts.weights, macs: counts.macs }),
    ...(graph === undefined ? {} : { convolutions: convolutionsOf(graph) }),
    ...(runs === undefined ? {} : { peakMiB: Number((await peakOf(model.path, feeds)).toFixed(1)) }),
    noise: runs === undefined ? [] : ((await difference(model.path, model.path, feeds, "disabled")).outputs ?? []),
  };
  const half = graph !== undefined && usesHalf(graph);
  return { model, facts, feeds, sizes, counts, half, folder: own, effort, commit };
}

function readUnverified(path: string): Graph | undefined {
  try {
    return readModel(new Uint8Array(readFileSync(path)), { verify: false });
  } catch {
    return undefined;
  }
}

/** True where a constant of the model is stored in half precision, or a value computed in it. */
function usesHalf({ initializers, values }: Graph): boolean {
  const types = [
    ...[...initializers.values()].map(({ type }) => type),
    ...[...values.values()].map(({ tensor }) => tensor?.type),
  ];
  return types.some((type) => type === "float16" || type === "bfloat16");
}

/** Convolutions in one group that read a floating-point constant, or what is computed from such constants alone. */
function convolutionsOf(graph: Graph): number {
  const constant = new Map<string, boolean>([...graph.initializers].map(([name, { type }]) => [name, isFloat(type)]));
  for (const node of graph.nodes) {
    const inputs = node.inputs.filter((input) => input !== "");
    const value = node.op === "Constant" ? node.attributes.get("value") : undefined;
    if (node.op === "Constant") constant.set(node.outputs[0]!, value?.kind === "tensor" && isFloat(value.value.type));
    else if (inputs.length > 0 && inputs.every((input) => constant.has(input)) && node.op !== "DequantizeLinear")
      for (const output of node.outputs) constant.set(output, constant.get(inputs[0]!) === true);
  }
  const isOne = (node: Graph["nodes"][number]) =>
    node.op === "Conv" &&
    node.domain === "" &&
    readInt(node, "group", 1) === 1 &&
    constant.get(node.inputs[1] ?? "") === true;
  return graph.nodes.filter(isOne).length;
}
