// Which candidates the layers of a plan get: the families that save what the budget is in, fewer of them where patches
// are large.
import { type CandidateOptions, isRounded } from "../basis/candidates.js";
import type { Family, FittedFamily, LayerShape } from "../basis/factors.js";
import type { Calibration } from "../calibrate/calibrated.js";
import { isBelow, type LayerChoice } from "../calibrate/choices.js";
import { type CalibrationImages, type Engine, slowPatch } from "../calibrate/engine.js";
import type { JobHooks } from "./job.js";

/** Families that save multiply-accumulates, and those that save most weights. */
const families = {
  time: ["one-split", "own-bases", "separable", "separable-pointwise", "low-rank"],
  weights: ["one-split", "shared-bases", "low-rank"],
  /** For steps that would part what the splits share. */
  "weights, unshared": ["one-split", "low-rank"],
} as const satisfies Readonly<Record<string, readonly FittedFamily[]>>;
export type Saves = keyof typeof families;
const fractions = [0.08, 0.12, 0.17, 0.24, 0.32, 0.42, 0.54, 0.68, 0.82, 0.95];

/** Patches of more values than this are fitted by the families that take seconds, and at fewer ranks. */
const usualLargePatch = 600;
const quick: readonly FittedFamily[] = ["one-split", "separable", "shared-bases", "low-rank"];
const fewFractions = [0.12, 0.22, 0.36, 0.54, 0.75];
/** Patches of more values than this take one basis, whose factors need no decomposition of that size. */
const widestPatch = 6000;
const closed: readonly FittedFamily[] = ["one-split", "low-rank"];

/** Without libtorch large patches take minutes otherwise. */
const widestBy = ({ algebra }: Pick<Engine, "algebra">): number =>
  algebra.name === "typescript" ? slowPatch : widestPatch;

/** In networks of more layers each gets fewer candidates: else fitting them all takes many minutes. */
const manyLayers = 80;
const ofMany = { largePatch: 256, widest: 4000, free: false };

/** The limits of a network's layers, from their number and from who computes. */
export const limitsFor = (layers: number, engine: Pick<Engine, "algebra">): Required<Omit<PatchLimits, "block">> => {
  const widest = widestBy(engine);
  if (layers <= manyLayers) return { widest, largePatch: usualLargePatch, free: true };
  return { ...ofMany, widest: Math.min(widest, ofMany.widest) };
};

/** A layer that takes less of the multiply-accumulates cannot save what trying it costs. */
const smallest = 1e-3;

/** The share of the multiply-accumulates below which a layer stays as it is. */
export const leastShareOf = (layers: number, saves: Saves): number =>
  saves === "time" && layers > manyLayers ? smallest : 0;

/** Layers that stay as they are because they take so little. */
export function tellSmall(
  { layers, extents }: Pick<Calibration, "layers" | "extents">,
  share: number,
  { note }: JobHooks,
): void {
  const small = layers.filter(({ layer }) => isBelow(share, layer, extents.of(layer), extents.macs));
  if (small.length === 0) return;
  const together = small.reduce((sum, { choices: [own] }) => sum + (own?.macs ?? 0), 0) / extents.macs;
  const which = `below ${percent(share)} of the multiply-accumulates each, ${percent(together)} together`;
  note?.(`${small.length} of ${layers.length} layers stay as they are: ${which}`);
}

const percent = (share: number): string => `${Number((100 * share).toPrecision(2))} %`;

const patchOf = ({ c, kernel: [kh, kw] }: LayerShape): number => c * kh * kw;

export interface PatchLimits {
  /** Patches of more values take one basis. */
  readonly widest?: number;
  /** Patches of more values get few candidates, of families that are fitted quickly. */
  readonly largePatch?: number;
  /** Channels that the runtime computes at once: ranks are rounded to these. */
  readonly block?: number;
  /** Whether smaller patches get ranks between these too: both plans are fitted then. Default: true. */
  readonly free?: boolean;
}

export function candidatesFor(
  shape: LayerShape,
  saves: Saves,
  { widest = widestPatch, largePatch = usualLargePatch, block = 1, free = true }: PatchLimits = {},
): CandidateOptions {
  const size = patchOf(shape);
  const all: readonly FittedFamily[] = families[saves];
  const allowed = size > widest ? closed : size > largePatch ? quick : all;
  const multiples = size > largePatch || !free ? [block] : [...new Set([block, 1])];
  return {
    families: all.filter((family) => allowed.includes(family)),
    fractions: size > largePatch ? fewFractions : fractions,
    ...(saves === "time" ? { price: "macs", multiples } : { price: "weights" }),
  };
}

/** Layers whose candidates are fewer than those of others. */
export function tellWide({ layers }: Pick<Calibration, "layers">, { note }: JobHooks, widest = widestPatch): void {
  const wide = layers.filter(({ layer: { shape } }) => patchOf(shape) > widest);
  if (wide.length === 0) return;
  const names = wide.slice(0, 3).map(({ layer: { name } }) => name);
  const others = wide.length > names.length ? ` and ${wide.length - names.length} more` : "";
  note?.(`patches of more than ${widest} values: one basis is the only candidate of ${names.join(", ")}${others}`);
}

/** Layers of which the images show fewer places than they have inputs, so that whatever fits these fits no others. */
export function tellFew(
  { layers }: Pick<Calibration, "layers">,
  { count }: Pick<CalibrationImages, "count">,
  { note }: JobHooks,
): void {
  const few = layers.flatMap(({ layer: { name, shape }, choices: [dense] }) => {
    const places = dense === undefined ? 0 : Math.round((count * dense.macs) / dense.weights);
    return places < patchOf(shape) ? [`${name} (${places} of ${patchOf(shape)})`] : [];
  });
  if (few.length === 0) return;
  const others = few.length > 3 ? ` and ${few.length - 3} more` : "";
  note?.(
    `fewer places in the data than values in a patch: ${few.slice(0, 3).join(", ")}${others}; more data loses less`,
  );
}

/** Without the choices whose ranks the runtime would pad: they take as long as those that lose less. */
export const onBlocks = (calibration: Calibration, block: number): Calibration => ({
  ...calibration,
  layers: calibration.layers.map((one) => ({
    ...one,
    choices: one.choices.filter(({ candidate }) => isRounded(candidate, one.layer.shape, block)),
  })),
});

/** Families of which a choice takes longer than others of its multiply-accumulates: groups, or a third convolution. */
const slow: readonly Family[] = ["own-bases", "separable-pointwise"];

/**
 * A layer's choices without those of slow families beside which another one loses no more and costs no more: they need
 * not be timed.
 */
export function worthTiming(choices: readonly LayerChoice[]): readonly LayerChoice[] {
  const beats = (other: LayerChoice, one: LayerChoice): boolean =>
    other !== one &&
    (!slow.includes(other.candidate.family) || other.candidate.family === one.candidate.family) &&
    other.macs <= one.macs &&
    other.error <= one.error &&
    (other.macs < one.macs || other.error < one.error);
  return choices.filter((one) => !slow.includes(one.candidate.family) || !choices.some((other) => beats(other, one)));
}
