// Milliseconds of a layer's choices, for a plan by time: a chain is timed as ONNX Runtime will run it, between
// neighbours as a network has them. A few choices of each family are timed, the others lie between them; what a plan
// chooses is timed itself.

import { type Candidate, stageShapes } from "../basis/factors.js";
import { stageAttributes } from "../calibrate/chain.js";
import { dense, type LayerChoice, type LayerChoices } from "../calibrate/choices.js";
import type { Window } from "../calibrate/geometry.js";
import type { CalibratedLayer } from "../calibrate/layers.js";
import { sidesOf } from "../calibrate/replacement.js";
import type { Graph } from "../graph/types.js";
import type { Clock, TimedLayer } from "../methods/latencies.js";
import { attributesToJson } from "../methods/record.js";
import { inferShapes } from "../ops/infer.js";
import { concreteInputs } from "../ops/sizes/concrete-inputs.js";
import { weightBytes } from "./cold-weights.js";
import type { Place } from "./job.js";
import type { Precision } from "./precisions.js";

/** Sizes of the inputs of a layer's nodes; undefined where one is not known. */
export type LayerInputs = (layer: CalibratedLayer) => readonly (readonly number[])[] | undefined;

/** What the clock is asked for a candidate, over all nodes of a layer; undefined for sizes that are not known. */
export function chainQuestions(
  layer: CalibratedLayer,
  candidate: Candidate,
  inputs: LayerInputs,
  opset: number,
): readonly TimedLayer[] | undefined {
  const { geometry, type } = layer;
  const sizes = inputs(layer);
  if (sizes === undefined) return undefined;
  const stages = (one: Candidate) =>
    geometry.kind === "window" ? stagesOf(geometry, one, layer) : matricesOf(one, layer);
  const common = { ...stages(dense)[0]!, type, opset };
  const chain = candidate.family === "dense" ? undefined : stages(candidate);
  return sizes.map((input) => ({ input, ...common, ...(chain && { chain }) }));
}

/** The same in each precision that a plan may have; layers that are not of float32 have one. */
export function precisionQuestions(
  layer: CalibratedLayer,
  candidate: Candidate,
  inputs: LayerInputs,
  opset: number,
  precision: Precision,
): Readonly<Partial<Record<"fp32" | "int8", readonly TimedLayer[]>>> {
  const fp32 = chainQuestions(layer, candidate, inputs, opset);
  if (fp32 === undefined) return {};
  if (precision === "fp32" || layer.type !== "float32") return { fp32 };
  const int8 = fp32.map(inEightBits);
  return precision === "int8" ? { int8 } : { fp32, int8 };
}

/**
 * What a layer is timed between, by itself: at the sizes of its input, and of its output. Half of each belongs to the
 * layer's time, and more in one precision than in another. None where there are no neighbours.
 */
export function neighboursOf(layer: TimedLayer): readonly TimedLayer[] {
  const { input, shape, attributes, type, opset, precision } = layer;
  if (shape.length === 2) return [];
  const [batch = 1, channels = 1, ...sides] = input;
  const strides = Array.isArray(attributes.strides) ? attributes.strides : [];
  const made = sides.map((side, i) => Math.ceil(side / (strides[i] ?? 1)));
  const alone = (width: number, sizes: readonly number[]): TimedLayer => ({
    ...{ input: [batch, width, ...sizes], shape: [width, width, ...sizes.map(() => 1)], attributes: {}, type, opset },
    ...(precision && { precision }),
    chain: [],
  });
  return [alone(channels, sides), alone(shape[0] ?? 1, made)];
}

/** Milliseconds of a layer without those of its neighbours; undefined before all are known. */
export function withoutNeighbours(clock: Clock): Clock {
  return (layer) => {
    const [own, ...beside] = [layer, ...neighboursOf(layer)].map(clock);
    if (own === undefined || beside.some((one) => one === undefined)) return undefined;
    return Math.max(1e-6, own - beside.reduce<number>((sum, one) => sum + one! / 2, 0));
  };
}

/** The same layer in eight bits, which want opset 13. */
export const inEightBits = (layer: TimedLayer): TimedLayer => ({
  ...layer,
  opset: Math.max(13, layer.opset),
  precision: "int8",
});

/** A candidate's convolutions: weights' shapes and attributes. */
function stagesOf(geometry: Window, candidate: Candidate, { shape }: CalibratedLayer) {
  return stageShapes(candidate, shape).map((stage) => {
    const { kernel_shape: _, ...attributes } = stageAttributes(geometry, stage);
    return {
      shape: [stage.out, stage.in / stage.groups, ...sidesOf(geometry.axes, stage.kernel)],
      attributes: attributesToJson(new Map(Object.entries(attributes))),
    };
  });
}

/** A candidate's matrices: shapes of two axes, which a clock takes for those of fully connected layers. */
const matricesOf = (candidate: Candidate, { shape }: CalibratedLayer) =>
  stageShapes(candidate, shape).map((stage) => ({ shape: [stage.out, stage.in], attributes: {} }));

export interface ClockOptions {
  readonly perByte?: number;
  readonly share?: number;
  readonly precision?: Precision | undefined;
}

/**
 * Answers from a clock: of a candidate the time in the precision in which it is fastest.
 * @param options - perByte: what a byte of weights takes beside the clock's times (cold-weights.ts); share: of each
 * time, what counts
 */
export function chainClock(
  clock: Clock,
  inputs: LayerInputs,
  opset: number,
  { perByte = 0, share = 1, precision = "fp32" }: ClockOptions = {},
) {
  const answered = withoutNeighbours(clock);
  const total = (questions: readonly TimedLayer[] | undefined): number | undefined => {
    let sum = 0;
    for (const question of questions ?? [undefined]) {
      const answer = question && answered(question);
      if (answer === undefined) return undefined;
      sum += share * (answer + perByte * weightBytes(question!));
    }
    return sum;
  };
  /** Undefined before all precisions were timed. */
  const timed = (layer: CalibratedLayer, candidate: Candidate) => {
    const { fp32, int8 } = precisionQuestions(layer, candidate, inputs, opset, precision);
    const [float, eight] = [total(fp32), total(int8)];
    if ((fp32 && float === undefined) || (int8 && eight === undefined)) return undefined;
    if (float === undefined || (eight !== undefined && eight < float))
      return eight === undefined ? undefined : { precision: "int8" as const, milliseconds: eight };
    return { precision: "fp32" as const, milliseconds: float };
  };
  const exact = (layer: CalibratedLayer, candidate: Candidate): number | undefined =>
    timed(layer, candidate)?.milliseconds;
  /** Milliseconds of a choice, measured or between measured ones of its family; undefined where nothing is known. */
  const milliseconds = ({ layer, choices }: LayerChoices, choice: LayerChoice): number | undefined =>
    exact(layer, choice.candidate) ??
    between(familyOf(choices, choice), choice, (candidate) => exact(layer, candidate));
  return {
    ...{ exact, milliseconds, precision: (...of: Parameters<typeof exact>) => timed(...of)?.precision },
    /** The layer as it is, in floats. */
    dense: (layer: CalibratedLayer) => total(chainQuestions(layer, dense, inputs, opset)),
    /** Bytes of a layer's weights, as often as they are read. */
    weightBytes: (layer: CalibratedLayer): number =>
      (chainQuestions(layer, dense, inputs, opset) ?? []).reduce((sum, question) => sum + weightBytes(question), 0),
  };
}

export type ChainClock = ReturnType<typeof chainClock>;

const familyOf = (choices: readonly LayerChoice[], { candidate }: LayerChoice): readonly LayerChoice[] =>
  choices.filter((other) => other.candidate.family === candidate.family && other.candidate.splits === candidate.splits);

function between(
  family: readonly LayerChoice[],
  { macs }: LayerChoice,
  exact: (candidate: Candidate) => number | undefined,
): number | undefined {
  const known = family.flatMap((one) => {
    const milliseconds = exact(one.candidate);
    return milliseconds === undefined ? [] : [{ macs: one.macs, milliseconds }];
  });
  known.sort((a, b) => a.macs - b.macs);
  const above = known.find((one) => one.macs >= macs);
  const below = known.findLast((one) => one.macs <= macs);
  if (above === undefined || below === undefined) return (above ?? below)?.milliseconds;
  if (above.macs === below.macs) return above.milliseconds;
  return (
    below.milliseconds + ((macs - below.macs) / (above.macs - below.macs)) * (above.milliseconds - below.milliseconds)
  );
}

/** The choices of each family that are timed first: the smallest, the largest, and one in between. */
export function firstTimed({ choices }: LayerChoices): readonly LayerChoice[] {
  const families = new Map<string, LayerChoice[]>();
  for (const choice of choices) {
    const key = `${choice.candidate.family} ${choice.candidate.splits ?? ""}`;
    families.set(key, [...(families.get(key) ?? []), choice]);
  }
  return [...families.values()].flatMap((family) => {
    const sorted = [...family].sort((a, b) => a.macs - b.macs);
    return [...new Set([sorted[0]!, sorted[Math.floor((sorted.length - 1) / 2)]!, sorted.at(-1)!])];
  });
}

/** The clock of a job's layers, in the precisions that it may have. */
export const clockOf = (
  job: { readonly prepared: Graph; readonly place: Place; readonly precision?: Precision },
  { clock }: { readonly clock: Clock },
  options: Pick<ClockOptions, "perByte" | "share"> = {},
) => chainClock(clock, layerInputs(job), opsetOf(job.prepared), { ...options, precision: job.precision });

export const opsetOf = (graph: Graph): number => graph.opsets.get("") ?? 17;

/** Of a network at the sizes at which it is timed. */
export function layerInputs({ prepared, place }: { readonly prepared: Graph; readonly place: Place }): LayerInputs {
  const shapes = inferShapes(prepared, concreteInputs(prepared, place.inputs.shapes));
  return ({ nodes }) => {
    const sizes = nodes.map(({ input }) => shapes.get(input)?.dims);
    const known = sizes.every((dims) => dims?.every((dim) => typeof dim === "number" && dim > 0));
    return known ? (sizes as readonly (readonly number[])[]) : undefined;
  };
}
