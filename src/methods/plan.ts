// What is to be done to each layer, decided before anything is done: which layers share a basis, their splits and basis
// sizes, what that costs and what it loses.
import type { Refusal } from "../basis/convolution.js";
import type { Graph } from "../graph/types.js";
import type { Spectrum } from "../linalg/low-rank.js";
import { cost } from "../ops/cost/cost.js";
import { type Choice, choiceMacs, choiceWeights, type Positions, splitsOf, type Unit, unitMacs } from "./candidates.js";
import type { Planned } from "./decision.js";
import type { Latencies, Timed } from "./latencies.js";
import { type Layer, layerWeights } from "./layers.js";
import { planBudget } from "./plan-budget.js";
import { planExplicit } from "./plan-explicit.js";
import type { PlanOptions } from "./plan-options.js";
import { nothingToDo, outputPositions, unitsOf } from "./plan-units.js";

export type { PlanOptions, Splitting } from "./plan-options.js";

export interface LayerPlan {
  readonly layer: Layer;
  readonly splits: number;
  /** Set where the splits asked for were moved. */
  readonly note?: string;
  /** The fastest layout and its time, where that was measured; and the time of the layer as it is. */
  readonly timed?: Timed & { readonly original: number };
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
  /** Why the plan stays well below its budget, where it does. */
  readonly why?: string;
}

/**
 * Plans a compression. With `basis` every layer is obeyed, also where it grows; otherwise a budget is solved over all units at
 * once and a layer where nothing is saved is refused. Errors: `budget-unreachable`; `invalid-plan` for impossible splits and
 * for bases beyond full rank everywhere; `non-finite` for weights that are; `not-found`, `unsupported` where nothing can be done.
 */
export function planCompression(graph: Graph, options: PlanOptions = {}): Plan {
  const { inputs = new Map() } = options;
  const { units, left, explicit } = unitsOf(graph, options);
  const positions = outputPositions(graph, inputs);
  const { weights, macs } = cost(graph, inputs);
  const before = options.original ?? { weights, macs };
  const { planned, refused, why } = explicit
    ? planExplicit(units, options)
    : planBudget(units, options, { before, now: { weights, macs } }, positions);
  if (planned.length === 0 && explicit) throw nothingToDo([...left, ...refused]);
  const plans = planned.map((one) => describe(one, positions));
  const change = (key: "weights" | "macs") => plans.reduce((sum, plan) => sum + plan[`${key}After`] - plan[`${key}Before`], 0);
  return {
    units: plans,
    refused: [...left, ...refused],
    before,
    after: { weights: weights + change("weights"), macs: macs + change("macs") },
    ...(why === undefined ? {} : { why }),
  };
}

/** The plan with the fastest layout of every layer, where times are known. */
export function withLayouts(plan: Plan, latencies: Latencies): Plan {
  const units = plan.units.map((planned): UnitPlan => {
    const layers = planned.layers.map((one): LayerPlan => {
      const original = latencies.original(one.layer);
      const timed = latencies.basis(one.layer, one.splits, planned.choice.basisSize);
      return original === undefined || timed === undefined ? one : { ...one, timed: { ...timed, original } };
    });
    return { ...planned, layers };
  });
  return { ...plan, units };
}

/** Options that ask for exactly this plan, layer by layer: for a recipe, which has no clock. */
export function planAsOptions({ units }: Plan, { share, shareNamed, slice, inputs }: PlanOptions): PlanOptions {
  const layers = Object.fromEntries(
    units.flatMap(({ choice: { basisSize }, layers: members }) =>
      members.map(({ layer, splits }) => [layer.name, { splits, basis: basisSize }] as const),
    ),
  );
  return {
    ...(share === undefined ? {} : { share }),
    ...(shareNamed === undefined ? {} : { shareNamed }),
    ...(slice === undefined ? {} : { slice }),
    ...(inputs === undefined ? {} : { inputs }),
    only: Object.keys(layers),
    layers,
  };
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
