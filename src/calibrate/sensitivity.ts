// How much each layer's error counts at the network's output: of every layer a middling choice alone is put into the
// original network, and what the output then loses is divided by what the layer lost. Layers are taken in the order of
// the graph, so that what comes before one is computed once; where even one image would take too long layer by layer,
// neighbours are replaced together and share what is found.
import type { Graph } from "../graph/types.js";
import { floats } from "../graph/values.js";
import { type Calibration, fitPlan, type PlannedChoice } from "./calibrated.js";
import type { LayerChoice, LayerChoices } from "./choices.js";
import { batchesOf, type CalibrationImages, type Engine, type Hooks, stopIfAborted, type Values } from "./engine.js";
import type { CalibratedLayer } from "./layers.js";
import { type Replacement, withReplacements } from "./replacement.js";
import { liveAt, movingValues, openTap, type Types, typesOf } from "./segment.js";

export interface SensitivityOptions extends Hooks {
  /** The output whose error counts. */
  readonly output: string;
  /** Multiply-accumulates that all runs together may take, about. */
  readonly most?: number;
  /** Images that run at once. */
  readonly batch?: number;
}

/** About ten seconds on two processors. */
const usualMost = 4e11;
const mostImages = 64;
/** Where more neighbours than this would share one number, nothing is measured: it would say little. */
const mostTogether = 8;
/** The share of its output's energy that a layer loses meanwhile: small, as the plan's are, and beyond rounding. */
const middling = 0.03;

/**
 * Of each layer that can be replaced: the output's lost share of energy (about its mean) for each unit of the layer's.
 * A layer that the output does not depend on has 0. Empty where too many layers would share a number.
 * @throws FilterBasisError `interrupted`; what running the network throws
 */
export async function sensitivitiesOf(
  calibration: Calibration,
  images: CalibrationImages,
  engine: Engine,
  { output, most = usualMost, batch = 32, ...hooks }: SensitivityOptions,
): Promise<ReadonlyMap<CalibratedLayer, number>> {
  const { graph, layers, extents } = calibration;
  const probes = layers.map(probeOf);
  const wanted = probes.filter(({ candidate: { family } }) => family !== "dense").length;
  const runs = Math.max(1, (most / Math.max(1, extents.macs)) * 2); // half of the network on average
  const count = Math.max(1, Math.min(mostImages, images.count, Math.floor(runs / Math.max(1, wanted))));
  const groups = Math.max(1, Math.min(wanted, Math.floor(runs / count)));
  if (wanted > mostTogether * groups) return new Map();
  const replacements = await fitPlan(calibration, probes, engine.algebra, hooks);
  const open = replacements.flatMap((one, i) => (one.factors ? [{ replacement: one, error: probes[i]!.error }] : []));
  const parts = grouped(open, groups);
  const walk = { graph, engine, output, types: typesOf(graph), moving: movingValues(graph), hooks };
  const found = new Map<CalibratedLayer, number>();
  let before = await startOf(walk, images, count, batch);
  for (const [i, part] of parts.entries()) {
    hooks.progress?.("sensitivities", i, parts.length);
    before = await advanced(walk, before, part[0]!.replacement.layer);
    const lost = await lossWith(
      walk,
      before,
      part.map(({ replacement }) => replacement),
    );
    const error = part.reduce((sum, one) => sum + one.error, 0);
    for (const { replacement } of part) found.set(replacement.layer, lost / error);
  }
  hooks.progress?.("sensitivities", parts.length, parts.length);
  return found;
}

/** Of the choices that are fitted quickly the one that loses about as much as layers of a plan do. */
function probeOf({ layer, choices }: LayerChoices): PlannedChoice {
  const quick = ({ candidate: { family }, error }: LayerChoice): boolean =>
    ["one-split", "low-rank"].includes(family) && error > 0;
  const distance = ({ error }: LayerChoice): number => Math.abs(Math.log(error / middling));
  const [nearest = choices[0]!] = choices.filter(quick).sort((a, b) => distance(a) - distance(b));
  return { ...nearest, layer, price: 0, loss: 0 };
}

interface Probe {
  readonly replacement: Replacement;
  readonly error: number;
}

/** Neighbours in so many parts of about the same size. */
function grouped(probes: readonly Probe[], parts: number): readonly (readonly Probe[])[] {
  const size = Math.ceil(probes.length / parts);
  return batchesOf(probes.length, Math.max(1, size)).map(([first, count]) => probes.slice(first, first + count));
}

interface Walk {
  readonly graph: Graph;
  readonly engine: Engine;
  readonly output: string;
  readonly types: Types;
  readonly moving: ReadonlySet<string>;
  readonly hooks: Hooks;
}

/** What is known of the original network before a layer, batch by batch. */
interface Before {
  readonly names: readonly string[];
  readonly known: readonly Values[];
  readonly fed: readonly Values[];
  readonly outputs: readonly Float32Array[];
  /** Of the outputs, about their mean. */
  readonly energy: number;
}

async function startOf(walk: Walk, images: CalibrationImages, count: number, batch: number): Promise<Before> {
  const fed: Values[] = [];
  for (const [first, number] of batchesOf(count, batch)) fed.push(await images.feeds(first, number));
  const empty = { names: [], known: fed.map(() => ({})), fed, outputs: [], energy: 0 };
  const outputs = (await run(walk, walk.graph, empty, [walk.output])).map((values) => floats(values[walk.output]!));
  return { ...empty, outputs, energy: energyOf(outputs) };
}

function energyOf(outputs: readonly Float32Array[]): number {
  let [sum, squares, count] = [0, 0, 0];
  for (const values of outputs) {
    count += values.length;
    for (const value of values) {
      sum += value;
      squares += value * value;
    }
  }
  return squares - (sum * sum) / Math.max(1, count);
}

/** Values of a graph that differs from the original behind what is known alone. */
async function run(
  { engine, types, hooks }: Walk,
  graph: Graph,
  { names, known, fed }: Pick<Before, "names" | "known" | "fed">,
  wanted: readonly string[],
): Promise<readonly Values[]> {
  const tap = await openTap(engine, graph, new Set(names), wanted, types);
  try {
    const made: Values[] = [];
    for (const [i, inputs] of fed.entries()) {
      stopIfAborted(hooks);
      made.push(await tap.run(inputs, known[i]!));
    }
    return made;
  } finally {
    await tap.close();
  }
}

/** Up to a layer; where values that it needs cannot be fed, from where it was. */
async function advanced(walk: Walk, before: Before, layer: CalibratedLayer): Promise<Before> {
  const { graph, moving, types } = walk;
  const names = liveAt(graph, graph.nodes.indexOf(layer.nodes[0]!.node), moving, types);
  if (names === undefined || names.length === 0) return before;
  return { ...before, names, known: await run(walk, graph, before, names) };
}

/** The share of the output's energy that is lost with other layers. */
async function lossWith(walk: Walk, before: Before, replacements: readonly Replacement[]): Promise<number> {
  const made = await run(walk, withReplacements(walk.graph, replacements), before, [walk.output]);
  let lost = 0;
  for (const [i, values] of made.entries()) {
    const own = floats(values[walk.output]!);
    const original = before.outputs[i]!;
    for (let at = 0; at < original.length; at++) lost += (own[at]! - original[at]!) ** 2;
  }
  return before.energy > 0 ? lost / before.energy : 0;
}

/** Below this share of the mean a layer counts as much: what one choice alone does says no more. */
const least = 1e-3;

/**
 * The calibration with what its layers count; layers of which it is not known count as the mean. As it was where none
 * counts.
 */
export function withSensitivities(
  calibration: Calibration,
  of: (layer: CalibratedLayer) => number | undefined,
): Calibration {
  const values = calibration.layers.flatMap(({ layer }) => of(layer) ?? []);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (!(mean > 0)) return calibration;
  return {
    ...calibration,
    layers: calibration.layers.map((one) => ({
      ...one,
      sensitivity: Math.max(least * mean, of(one.layer) ?? mean),
    })),
  };
}
