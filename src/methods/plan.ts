// What is to be done to each layer, decided before anything is done: which layers share a basis, their splits and basis
// sizes, what that costs and what it loses.
import type { SkippedLayer } from "../basis/convolution.js";
import type { Graph } from "../graph/types.js";
import type { Spectrum } from "../linalg/low-rank.js";
import { cost } from "../ops/cost/cost.js";
import {
  type Choice,
  choiceMacs,
  choiceWeights,
  groupMacs,
  type LayerGroup,
  type Positions,
  splitsOf,
} from "./choices.js";
import type { Planned } from "./decision.js";
import type { Latencies, Timed } from "./latencies.js";
import { type Layer, layerWeights } from "./layers.js";
import { planBudget } from "./plan-budget.js";
import { planExplicit } from "./plan-explicit.js";
import { groupsOf, nothingToDo, outputPositions } from "./plan-groups.js";
import type { PlanOptions } from "./plan-options.js";

export type { PlanOptions } from "./plan-options.js";

export interface LayerPlan {
  readonly layer: Layer;
  readonly splits: number;
  /** Set where the splits asked for were moved. */
  readonly note?: string;
  /** The fastest layout and its time, where that was measured; and the time of the layer as it is. */
  readonly timed?: Timed & { readonly original: number };
}

export interface GroupPlan {
  readonly group: LayerGroup;
  readonly choice: Choice;
  readonly layers: readonly LayerPlan[];
  readonly weightsBefore: number;
  readonly weightsAfter: number;
  readonly macsBefore: number;
  readonly macsAfter: number;
  /** ||W - B A||_F / ||W||_F over all layers of the group, from the singular values. */
  readonly error: number;
  /**
   * Of the group's stacked filters at this choice: the decomposition begins where the plan left off. It holds several
   * times the filters' memory; without it they are decomposed again.
   */
  readonly spectrum?: Spectrum;
}

/** The plan without what decomposing begins with: what is left takes no memory worth mentioning. */
export function withoutSpectra(plan: Plan): Plan {
  return { ...plan, groups: plan.groups.map(({ spectrum: _, ...group }) => group) };
}

export interface Plan {
  readonly groups: readonly GroupPlan[];
  readonly skipped: readonly SkippedLayer[];
  /** Of the whole model, before and as expected after. */
  readonly before: { readonly weights: number; readonly macs: number };
  readonly after: { readonly weights: number; readonly macs: number };
  /** Why the plan stays well below its budget, where it does. */
  readonly why?: string;
}

/**
 * Plans a compression. With `basis` every layer is obeyed, also where it grows; otherwise a budget is solved over all
 * groups at once and a layer where nothing is saved is skipped.
 * @throws FilterBasisError `budget-unreachable`; `invalid-plan` for impossible splits and for bases beyond full rank
 * everywhere; `non-finite` for weights that are; `not-found`, `unsupported` where nothing can be done
 */
export function planCompression(graph: Graph, options: PlanOptions = {}): Plan {
  const { inputs = new Map() } = options;
  const { groups, excluded, explicit } = groupsOf(graph, options);
  const positions = outputPositions(graph, inputs);
  const { weights, macs } = cost(graph, inputs);
  const before = options.original ?? { weights, macs };
  const { planned, skipped, why } = explicit
    ? planExplicit(groups, options)
    : planBudget(groups, options, { before, now: { weights, macs } }, positions);
  if (planned.length === 0 && explicit) throw nothingToDo([...excluded, ...skipped]);
  const plans = planned.map((one) => describe(one, positions));
  const change = (key: "weights" | "macs") =>
    plans.reduce((sum, plan) => sum + plan[`${key}After`] - plan[`${key}Before`], 0);
  return {
    groups: plans,
    skipped: [...excluded, ...skipped],
    before,
    after: { weights: weights + change("weights"), macs: macs + change("macs") },
    ...(why === undefined ? {} : { why }),
  };
}

/** The plan with the fastest layout of every layer, where times are known. */
export function withLayouts(plan: Plan, latencies: Latencies): Plan {
  const groups = plan.groups.map((planned): GroupPlan => {
    const layers = planned.layers.map((one): LayerPlan => {
      const original = latencies.original(one.layer);
      const timed = latencies.basis(one.layer, one.splits, planned.choice.basisSize);
      return original === undefined || timed === undefined ? one : { ...one, timed: { ...timed, original } };
    });
    return { ...planned, layers };
  });
  return { ...plan, groups };
}

/** Options that ask for exactly this plan, layer by layer: for a recipe, which has no clock. */
export function planAsOptions({ groups }: Plan, { share, shareNamed, slice, inputs }: PlanOptions): PlanOptions {
  const layers = Object.fromEntries(
    groups.flatMap(({ choice: { basisSize }, layers: members }) =>
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

function describe({ group, choice, loss, notes, spectrum }: Planned, positions: Positions): GroupPlan {
  return {
    group,
    choice,
    layers: group.layers.map((layer) => {
      const note = notes.get(layer);
      return { layer, splits: splitsOf(layer, group, choice.channels), ...(note === undefined ? {} : { note }) };
    }),
    weightsBefore: group.layers.reduce((sum, layer) => sum + layerWeights(layer), 0),
    weightsAfter: choiceWeights(group, choice),
    macsBefore: groupMacs(group, positions),
    macsAfter: choiceMacs(group, choice, positions),
    error: Math.sqrt(loss),
    spectrum,
  };
}
