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

/** @param perByte - what a byte of weights takes beside the clock's times (cold-weights.ts); 0 by default */
export function chainClock(clock: Clock, inputs: LayerInputs, opset: number, perByte = 0) {
  const exact = (layer: CalibratedLayer, candidate: Candidate): number | undefined => {
    let sum = 0;
    for (const question of chainQuestions(layer, candidate, inputs, opset) ?? [undefined]) {
      const answer = question && clock(question);
      if (answer === undefined) return undefined;
      sum += answer + perByte * weightBytes(question!);
    }
    return sum;
  };
  /** Milliseconds of a choice, measured or between measured ones of its family; undefined where nothing is known. */
  const milliseconds = ({ layer, choices }: LayerChoices, choice: LayerChoice): number | undefined =>
    exact(layer, choice.candidate) ??
    between(familyOf(choices, choice), choice, (candidate) => exact(layer, candidate));
  return {
    exact,
    milliseconds,
    dense: (layer: CalibratedLayer) => exact(layer, dense),
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
