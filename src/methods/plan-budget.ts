// A plan that keeps a budget in weights or multiply-accumulates: the options of each group, what they cost, lose and
// take.
import type { SkippedLayer } from "../basis/convolution.js";
import { basisCandidates, type Candidate, groupTime } from "./basis-candidates.js";
import { faster, type Option, solveBudget } from "./budget.js";
import {
  type Choice,
  choiceMacs,
  choiceWeights,
  groupMacs,
  groupWeights,
  type LayerGroup,
  type Positions,
} from "./choices.js";
import { type Decision, type Planned, relative } from "./decision.js";
import type { Layer } from "./layers.js";
import type { PlanOptions } from "./plan-options.js";

/** The counts that F is a fraction of, and those of the graph that is planned. */
export interface Counts {
  readonly before: { readonly weights: number; readonly macs: number };
  readonly now: { readonly weights: number; readonly macs: number };
}

/** @throws FilterBasisError `budget-unreachable` */
export function planBudget(
  groups: readonly LayerGroup[],
  options: PlanOptions,
  { before, now }: Counts,
  positions: Positions,
): Decision {
  const { keepMacs, keepParams = 0.5, save, candidates = basisCandidates } = options;
  const kind = keepMacs === undefined ? "weights" : "macs";
  const macs = kind === "macs";
  const dense = (group: LayerGroup) => (macs ? groupMacs(group, positions) : groupWeights(group));
  const latencies = macs ? options.latencies : undefined;
  const notes = new Map<Layer, string>();
  const untimed = new Set<LayerGroup>();
  const table = groups.map((group): readonly (Option | Candidate)[] => {
    const milliseconds = latencies && groupTime(group, (layer) => latencies.original(layer));
    const cost = dense(group);
    const original: Option = {
      cost,
      loss: 0,
      choice: undefined,
      ...(milliseconds === undefined ? {} : { milliseconds }),
    };
    if (latencies && milliseconds === undefined) {
      untimed.add(group);
      return [original];
    }
    const price = (choice: Choice) => (macs ? choiceMacs(group, choice, positions) : choiceWeights(group, choice));
    const found = candidates(group, { options, cost, price, latencies });
    for (const [layer, note] of found.notes) notes.set(layer, note);
    return [original, ...found.candidates];
  });
  const option = macs ? "keep-macs" : "keep-params";
  const keep = keepMacs ?? keepParams;
  const fixed = now[kind] - groups.reduce((sum, group) => sum + dense(group), 0);
  const names = groups.map(({ name }) => name);
  const budget = { fixed, original: before[kind], keep, option, names, ...(save === undefined ? {} : { save }) };
  const solved = solveBudget(table, budget);
  const planned: Planned[] = [];
  const skipped: SkippedLayer[] = [];
  for (const [index, group] of groups.entries()) {
    const chosen = solved.chosen[index]! as Option | Candidate;
    if ("spectrum" in chosen) {
      const { choice, spectrum } = chosen;
      planned.push({ group, choice, loss: relative(spectrum.squares, choice.basisSize), notes, spectrum });
      continue;
    }
    const reason = untimed.has(group)
      ? fewMacs
      : whyKept(table[index]!, dense(group), macs ? "multiply-accumulates" : "weights");
    skipped.push(...group.layers.map(({ name }) => ({ name, reason })));
  }
  return { planned, skipped, why: solved.why };
}

const fewMacs = "it has too few of the multiply-accumulates to matter for the budget";

function whyKept(options: readonly Option[], cost: number, what: string): string {
  const [original, ...smaller] = options;
  if (smaller.length === 0) return `no basis would save any of its ${cost.toLocaleString("en")} ${what}`;
  const time = original!.milliseconds;
  const slower = time !== undefined && smaller.every(({ milliseconds }) => milliseconds! > faster * time);
  return slower
    ? `no basis is faster than it is (${time.toFixed(3)} ms)`
    : "the budget is met with less loss by compressing other layers";
}
