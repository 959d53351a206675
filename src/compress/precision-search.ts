// Which values are rounded how, and which layers stay float: by the loss that is measured on images.

import type { CalibrationImages, Engine, Hooks } from "../calibrate/engine.js";
import { type RangeChoice, rangeChoices, rangeOf } from "../calibrate/histogram.js";
import type { MomentSource } from "../calibrate/moment-source.js";
import { activationMoments } from "../calibrate/moments.js";
import { orderedWeights, placesForOrder } from "../calibrate/ordered-weights.js";
import { type Activations, activationRanges } from "../calibrate/ranges.js";
import { nodeName } from "../graph/attributes.js";
import type { Graph, Outcome } from "../graph/types.js";
import { equalise, freeMaps } from "../passes/quantize/equalise.js";
import type { RoundedRows } from "../passes/quantize/ordered-rounding.js";
import { quantize } from "../passes/quantize/quantize.js";
import { regionsOf } from "../passes/quantize/regions.js";
import { rotate } from "../passes/quantize/rotate.js";
import { ruleOf } from "../passes/quantize/rules.js";
import { type WeightFormatName, weightFormats } from "../passes/quantize/steps.js";

/** How a network is rounded. */
export interface Rounding {
  readonly ranges: RangeChoice;
  readonly weights: WeightFormatName;
  /** Whether biases make up for what the rounding of weights adds on average. */
  readonly corrected: boolean;
  /** Whether maps between two layers were scaled to one size first, or turned. */
  readonly equalised: boolean;
  readonly rotated: boolean;
  /** Whether weights were rounded one input column after another, each making up for those before it. */
  readonly ordered: boolean;
}

/** A network in eight bits that was tried. */
export interface Trial {
  readonly rounding: Rounding;
  /** Layers that were kept float to lose less, with the reason of each. */
  readonly float: ReadonlyMap<string, string>;
  readonly graph: Graph;
  readonly outcomes: readonly Outcome[];
  readonly loss: number;
}

/** A float network, and what was seen of its values. */
interface Material {
  readonly graph: Graph;
  readonly activations: ReadonlyMap<string, Activations>;
  readonly maps: Pick<Rounding, "equalised" | "rotated">;
  /** Weights that are not rounded to nearest. */
  readonly weights?: ReadonlyMap<string, RoundedRows>;
}

export interface SearchOptions extends Hooks {
  /** Formats of weights, the fastest first: a later one is taken where the one before loses too much. */
  readonly weights: readonly WeightFormatName[];
  /** What eight bits may lose beside the float network; asked once a loss is known, whose kind may decide. */
  readonly limit: () => number;
  /** Who measures second moments of what layers read. Default: who runs the network. */
  readonly moments?: Engine;
  /** Milliseconds after which no further layers are tried. */
  readonly budget?: number;
  readonly now?: () => number;
}

export interface Searched {
  /** The first is the best with every layer in eight bits, the last the one to take. */
  readonly trials: readonly Trial[];
  /** The network with the best rounding, and these layers in floats. */
  readonly keeping: (float: Trial["float"]) => Promise<Trial>;
}

/** Tries roundings with every layer in eight bits, then layers that stay float while the loss is above the limit. */
export async function searchPrecision(
  graph: Graph,
  images: CalibrationImages,
  engine: Engine,
  lossOf: (candidate: Graph) => Promise<number>,
  { weights, limit, moments = engine, budget = 60_000, now = () => performance.now(), ...hooks }: SearchOptions,
): Promise<Searched> {
  const materials = await materialsOf(graph, images, engine, hooks);
  const attempt = async (material: Material, rounding: Rounding, float: Trial["float"]): Promise<Trial> => {
    const { graph: candidate, outcomes } = rounded(material, rounding, float);
    return { rounding, float, graph: candidate, outcomes, loss: await lossOf(candidate) };
  };
  let best: { readonly material: Material; readonly trial: Trial } | undefined;
  let tried = 0;
  const whole = async (material: Material, rounding: Rounding): Promise<void> => {
    const trial = await attempt(material, rounding, new Map());
    if (best === undefined || trial.loss < best.trial.loss) best = { material, trial };
    hooks.progress?.("roundings", ++tried, weights.length * (materials.length * 4 + 1));
  };
  for (const format of weights) {
    for (const [material, rounding] of variants(materials, format)) await whole(material, rounding);
    const { material, trial } = best!;
    if (trial.loss <= limit()) break;
    // It takes seconds to minutes: only where something is to be won by it.
    if (trial.rounding.weights === format)
      await whole(await inOrder(material, trial.rounding, images, moments, hooks), {
        ...trial.rounding,
        ordered: true,
      });
    if (best!.trial.loss <= limit()) break;
  }
  const { material, trial } = best!;
  const keeping = (float: Trial["float"]) => attempt(material, trial.rounding, float);
  if (trial.loss <= limit()) return { trials: [trial], keeping };
  const deadline = { end: now() + budget, now, ...hooks };
  return { trials: [trial, ...(await keepingFloat(material.graph, trial, keeping, limit(), deadline))], keeping };
}

/** Ranges in every way with corrected biases; with scaled and turned maps too where there are any; once uncorrected. */
function* variants(
  materials: readonly Material[],
  weights: WeightFormatName,
): Generator<readonly [Material, Rounding]> {
  for (const material of materials) {
    const how = { weights, ordered: false, ...material.maps };
    for (const ranges of rangeChoices) yield [material, { ranges, corrected: true, ...how }];
    yield [material, { ranges: "all", corrected: false, ...how }];
  }
}

/** The material with weights rounded in order. */
async function inOrder(
  material: Material,
  { weights, corrected }: Rounding,
  images: CalibrationImages,
  engine: Engine,
  hooks: Hooks,
): Promise<Material> {
  const { graph } = material;
  const options = { ...placesForOrder(images), ...hooks };
  const moments: MomentSource = (layers) => activationMoments(graph, layers, images, engine, options);
  const made = await orderedWeights(graph, weightFormats[weights], corrected, moments, engine.algebra);
  return { ...material, weights: made };
}

async function materialsOf(
  graph: Graph,
  images: CalibrationImages,
  engine: Engine,
  hooks: Hooks,
): Promise<readonly Material[]> {
  const values = [...new Set(regionsOf(graph).rounded.values())];
  const activations = await activationRanges(graph, values, images, engine, hooks);
  const plain: Material = { graph, activations, maps: { equalised: false, rotated: false } };
  const between = freeMaps(graph).flatMap(({ value }) => (activations.has(value) ? [value] : []));
  if (between.length === 0) return [plain];
  const peaks = new Map(between.map((value) => [value, activations.get(value)!.peaks]));
  const other = async (made: Graph, maps: Material["maps"]): Promise<Material> => {
    const again = await activationRanges(made, between, images, engine, hooks);
    return { graph: made, activations: new Map([...activations, ...again]), maps };
  };
  const scaled = await other(equalise(peaks)(graph).graph, { equalised: true, rotated: false });
  return [plain, scaled, await other(rotate(graph).graph, { equalised: false, rotated: true })];
}

function rounded(
  { graph, activations, weights: made }: Material,
  { ranges, weights, corrected }: Rounding,
  float: Trial["float"],
) {
  const means = new Map([...activations].map(([value, one]) => [value, one.means]));
  return quantize({
    ranges: new Map([...activations].map(([value, { histogram }]) => [value, rangeOf(histogram, ranges)])),
    float,
    weights,
    ...(corrected ? { means } : {}),
    ...(made === undefined ? {} : { rounded: made }),
  })(graph);
}

interface Deadline extends Hooks {
  readonly end: number;
  readonly now: () => number;
}

/** Layers that stay float: the last, the first, both; then the ones by which the loss falls most, more at a time. */
async function keepingFloat(
  graph: Graph,
  whole: Trial,
  attempt: (float: Trial["float"]) => Promise<Trial>,
  limit: number,
  { end, now, progress }: Deadline,
): Promise<readonly Trial[]> {
  const regions = regionsOf(graph);
  const layers = [...regions.nodes].filter((node) => ruleOf(node)!.kind === "layer").map(nodeName);
  const first = layers[0]!;
  const last = layers.at(-1)!;
  const trials: Trial[] = [];
  const reason = (loss: number): string => `in eight bits it costs ${(whole.loss - loss).toPrecision(2)} of the loss`;
  const tried = async (names: readonly string[], why: (name: string) => string): Promise<Trial> => {
    const trial = await attempt(new Map(names.map((name) => [name, why(name)])));
    trials.push(trial);
    progress?.("layers that stay float", trials.length, layers.length + 6);
    return trial;
  };
  const alone = new Map<string, number>();
  for (const name of new Set([last, first])) alone.set(name, (await tried([name], () => "")).loss);
  const ends = [...alone.keys()];
  if (ends.some((name) => alone.get(name)! <= limit)) {
    const name = ends.reduce((a, b) => (alone.get(a)! <= alone.get(b)! ? a : b));
    return [...trials, await tried([name], () => reason(alone.get(name)!))];
  }
  const explained = (name: string): string => reason(alone.get(name) ?? whole.loss);
  const both = await tried(ends, explained);
  if (both.loss <= limit) return trials;
  for (const name of layers) {
    if (alone.has(name) || now() > end) continue;
    alone.set(name, (await tried([name], () => "")).loss);
  }
  const order = [...alone].sort(([, a], [, b]) => a - b).map(([name]) => name);
  for (let count = 1; count < layers.length && now() < end + 30_000; count *= 2) {
    const trial = await tried(order.slice(0, count), explained);
    if (trial.loss <= limit) return trials;
  }
  const best = trials.reduce((a, b) => (b.loss < a.loss ? b : a), whole);
  return [...trials, { ...best, float: new Map([...best.float.keys()].map((name) => [name, explained(name)])) }];
}
