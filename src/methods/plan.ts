// What is to be done to each layer, decided before anything is done: which layers share a basis, their splits and basis
// sizes, what that costs and what it loses.
import type { Refusal } from "../basis/convolution.js";
import { tails } from "../basis/energies.js";
import { FilterBasisError } from "../errors/error.js";
import { concreteInputs, cost } from "../graph/cost.js";
import { inferShapes } from "../graph/shapes/infer.js";
import type { Dim, Graph } from "../graph/types.js";
import { pureLinearAlgebra, type Spectrum } from "../linalg/low-rank.js";
import { type Option, solveBudget } from "./budget.js";
import {
  type Choice,
  candidateChannels,
  choiceMacs,
  choiceWeights,
  type Positions,
  splitsOf,
  type Unit,
  unitFullRank,
  unitMacs,
  unitSpectrum,
  unitWeights,
} from "./candidates.js";
import { findLayers, type Layer, layerWeights } from "./layers.js";
import type { PlanOptions } from "./plan-options.js";
import { explicitChannels, leftOut, makeUnits, ruleFor } from "./units.js";

export type { PlanOptions, Splitting } from "./plan-options.js";

export interface LayerPlan {
  readonly layer: Layer;
  readonly splits: number;
  /** Set where the splits asked for were moved. */
  readonly note?: string;
}

export interface UnitPlan {
  readonly unit: Unit;
  readonly choice: Choice;
  readonly layers: readonly LayerPlan[];
  readonly weightsBefore: number;
  readonly weightsAfter: number;
  readonly macsBefore: number;
  readonly macsAfter: number;
  /** ||W - B A||_F / ||W||_F over all layers of the unit, from the singular values. */
  readonly error: number;
  /** Of the unit's stacked filters at this choice: the decomposition begins where the plan left off. */
  readonly spectrum: Spectrum;
}

export interface Plan {
  readonly units: readonly UnitPlan[];
  readonly refused: readonly Refusal[];
  /** Of the whole model, before and as expected after. */
  readonly before: { readonly weights: number; readonly macs: number };
  readonly after: { readonly weights: number; readonly macs: number };
}

/**
 * Plans a compression. With `basis` every layer is obeyed, also where it grows; otherwise a budget is solved over all units at
 * once and a layer where nothing is saved is refused. Errors: `budget-unreachable`; `invalid-plan` for impossible splits and
 * for bases beyond full rank everywhere; `non-finite` for weights that are; `not-found`, `unsupported` where nothing can be done.
 */
export function planCompression(graph: Graph, options: PlanOptions = {}): Plan {
  const { keepParams, keepMacs, inputs = new Map() } = options;
  if (keepParams !== undefined && keepMacs !== undefined)
    throw new FilterBasisError("usage", "give one budget: --keep-params or --keep-macs");
  const found = findLayers(graph);
  const left: Refusal[] = [...found.refused];
  const taken = found.layers.filter((layer) => {
    const because = leftOut(layer, options);
    if (because) left.push({ name: layer.name, because });
    return !because;
  });
  if (taken.length === 0) throw nothingToDo(left);
  const units = makeUnits(graph, taken, options);
  const positions = outputPositions(graph, inputs);
  const whole = cost(graph, inputs);
  const before = { weights: whole.weights, macs: whole.macs };
  const explicit = options.basis !== undefined || units.some((unit) => ruleFor(unit, options)?.basis !== undefined);
  const { planned, refused } = explicit ? planExplicit(units, options) : planBudget(units, options, before, positions);
  if (planned.length === 0 && explicit) throw nothingToDo([...left, ...refused]);
  const plans = planned.map((one) => describe(one, positions));
  const change = (key: "weights" | "macs") => plans.reduce((sum, plan) => sum + plan[`${key}After`] - plan[`${key}Before`], 0);
  return {
    units: plans,
    refused: [...left, ...refused],
    before,
    after: { weights: before.weights + change("weights"), macs: before.macs + change("macs") },
  };
}

interface Planned {
  readonly unit: Unit;
  readonly choice: Choice;
  /** Relative squared error. */
  readonly loss: number;
  readonly notes: ReadonlyMap<Layer, string>;
  readonly spectrum: Spectrum;
}

interface Decision {
  readonly planned: readonly Planned[];
  readonly refused: readonly Refusal[];
}

function planExplicit(units: readonly Unit[], options: PlanOptions): Decision {
  const planned: Planned[] = [];
  const refused: Refusal[] = [];
  let beyond: FilterBasisError | undefined;
  for (const unit of units) {
    const refuse = (because: string) => refused.push(...unit.layers.map(({ name }) => ({ name, because })));
    const rule = ruleFor(unit, options);
    const basisSize = rule?.basis ?? options.basis;
    if (basisSize === undefined) {
      refuse("no basis size is given for it");
      continue;
    }
    if (!Number.isInteger(basisSize) || basisSize < 1) {
      throw new FilterBasisError("invalid-plan", "the basis size must be a whole number", {
        layer: unit.name,
        expected: "1 or more",
        got: `${basisSize}`,
      });
    }
    if (options.share !== undefined && options.share !== "none" && !unit.shared && rule === undefined) {
      refuse(`no other convolution with its kernel and ${unit.layers[0]!.inChannels} input channels can share a basis with it`);
      continue;
    }
    const { channels, notes } = explicitChannels(unit, rule?.splits ?? options.splits);
    const full = unitFullRank(unit, channels);
    if (basisSize > full) {
      beyond ??= new FilterBasisError("invalid-plan", "the basis is larger than the full rank of the filters it is made from", {
        layer: unit.name,
        expected: `at most ${full} basis filters`,
        got: `${basisSize}`,
      });
      refuse(`a basis of ${basisSize} is larger than the full rank ${full} of its filters`);
      continue;
    }
    const spectrum = unitSpectrum(unit, channels, options.linear ?? pureLinearAlgebra);
    planned.push({ unit, choice: { channels, basisSize }, loss: relative(spectrum.energies, basisSize), notes, spectrum });
  }
  if (planned.length === 0 && beyond) throw beyond;
  return { planned, refused };
}

function planBudget(units: readonly Unit[], options: PlanOptions, before: Plan["before"], positions: Positions): Decision {
  const { keepMacs, keepParams = 0.5, linear = pureLinearAlgebra } = options;
  const macs = keepMacs !== undefined;
  const dense = (unit: Unit) => (macs ? unitMacs(unit, positions) : unitWeights(unit));
  const price = (unit: Unit, choice: Choice) => (macs ? choiceMacs(unit, choice, positions) : choiceWeights(unit, choice));
  const notes = new Map<Layer, string>();
  const spectra = new Map<Unit, Map<number, Spectrum>>();
  const table = units.map((unit): readonly Option[] => {
    const whole: Option = { cost: dense(unit), loss: 0, choice: undefined };
    const wanted = ruleFor(unit, options)?.splits ?? (options.splits === "auto" ? undefined : options.splits);
    let widths = candidateChannels(unit);
    if (wanted !== undefined) {
      const chosen = explicitChannels(unit, wanted);
      widths = [chosen.channels];
      for (const [layer, note] of chosen.notes) notes.set(layer, note);
    }
    const own = new Map<number, Spectrum>();
    spectra.set(unit, own);
    const smaller = widths.flatMap((channels) => {
      if (price(unit, { channels, basisSize: 1 }) >= whole.cost) return [];
      own.set(channels, unitSpectrum(unit, channels, linear));
      return choicesOf(unit, channels, whole.cost, price, own.get(channels)!.energies);
    });
    return [whole, ...smaller];
  });
  const keep = macs ? keepMacs : keepParams;
  const all = macs ? before.macs : before.weights;
  const fixed = all - units.reduce((sum, unit) => sum + dense(unit), 0);
  const solved = solveBudget(table, { fixed, whole: all, keep, option: macs ? "keep-macs" : "keep-params" });
  const planned: Planned[] = [];
  const refused: Refusal[] = [];
  for (const [index, unit] of units.entries()) {
    const { choice } = solved[index]!;
    if (choice) {
      const spectrum = spectra.get(unit)!.get(choice.channels)!;
      planned.push({ unit, choice, loss: relative(spectrum.energies, choice.basisSize), notes, spectrum });
      continue;
    }
    const saves = table[index]!.length > 1;
    const what = macs ? "multiply-accumulates" : "weights";
    const because = saves
      ? "the budget is met with less loss by compressing other layers"
      : `no basis would save any of its ${dense(unit).toLocaleString("en")} ${what}`;
    refused.push(...unit.layers.map(({ name }) => ({ name, because })));
  }
  return { planned, refused };
}

/** Keeps the logarithm finite where rounding leaves nothing of the energy. */
const leastShare = 1e-12;

/**
 * Every basis size that costs less than the layer whole, for one p. The loss is minus the logarithm of the share of the energy that is kept, once for
 * each layer of the unit: the least sum of them is the largest product of the shares (Zhang et al., Accelerating Very Deep Convolutional Networks,
 * section 2.4), so that no single layer loses nearly everything.
 */
function choicesOf(
  unit: Unit,
  channels: number,
  whole: number,
  price: (unit: Unit, choice: Choice) => number,
  energies: Float64Array,
): Option[] {
  const lost = tails(energies);
  const total = lost[0]! || 1;
  const options: Option[] = [];
  for (let basisSize = 1; basisSize <= energies.length; basisSize++) {
    const cost = price(unit, { channels, basisSize });
    if (cost >= whole) break;
    const kept = Math.max(1 - lost[basisSize]! / total, leastShare);
    options.push({ cost, loss: unit.layers.length * -Math.log(kept), choice: { channels, basisSize } });
  }
  return options;
}

function describe({ unit, choice, loss, notes, spectrum }: Planned, positions: Positions): UnitPlan {
  return {
    unit,
    choice,
    layers: unit.layers.map((layer) => {
      const note = notes.get(layer);
      return { layer, splits: splitsOf(layer, unit, choice.channels), ...(note === undefined ? {} : { note }) };
    }),
    weightsBefore: unit.layers.reduce((sum, layer) => sum + layerWeights(layer), 0),
    weightsAfter: choiceWeights(unit, choice),
    macsBefore: unitMacs(unit, positions),
    macsAfter: choiceMacs(unit, choice, positions),
    error: Math.sqrt(loss),
    spectrum,
  };
}

function relative(energies: Float64Array, basisSize: number): number {
  const lost = tails(energies);
  return basisSize >= energies.length ? 0 : lost[basisSize]! / (lost[0]! || 1);
}

/** Output positions of a layer over all its nodes, at the stated input shapes. */
function outputPositions(graph: Graph, inputs: ReadonlyMap<string, readonly Dim[]>): Positions {
  const shapes = inferShapes(graph, concreteInputs(graph, inputs));
  return ({ nodes }) => {
    let sum = 0;
    for (const { node } of nodes) {
      const dims = shapes.get(node.outputs[0]!)?.dims;
      if (!dims?.every((dim) => typeof dim === "number")) return undefined;
      sum += (dims as number[]).reduce((product, dim, axis) => (axis === 1 ? product : product * dim), 1);
    }
    return sum;
  };
}

function nothingToDo(refused: readonly Refusal[]): FilterBasisError {
  const reasons = refused.slice(0, 3).map(({ name, because }) => `${name}: ${because}`);
  const more = refused.length > 3 ? `; and ${refused.length - 3} more` : "";
  return new FilterBasisError("unsupported", `nothing in the model can be compressed (${reasons.join("; ")}${more})`);
}
