// The options with which a method keeps a budget: the budget itself where the method plans by one, else the first of
// its sizes, from large to small, that is within it.
import { FilterBasisError, isError } from "../errors/error.js";
import type { Dim, Graph, PassResult } from "../graph/types.js";
import { countsOf } from "./counts.js";
import type { Method } from "./method.js";
import { methodNamed, methodPass } from "./methods.js";

/** A fraction of the original's weights or multiply-accumulates. */
export interface MethodBudget {
  readonly kind: "keepParams" | "keepMacs";
  readonly keep: number;
}

/**
 * @throws FilterBasisError `budget-unreachable` where the smallest size is above the budget; `unsupported` for a method
 * whose size nothing says, or that finds nothing to do
 */
export function optionsWithin(
  name: string,
  graph: Graph,
  { kind, keep }: MethodBudget,
  inputs: ReadonlyMap<string, readonly Dim[]>,
): object {
  const { options, sizes }: Method = methodNamed(name);
  const shapes = "inputs" in options ? { inputs: Object.fromEntries(inputs) } : {};
  if (kind in options) return { [kind]: keep, ...shapes };
  if (sizes === undefined)
    throw new FilterBasisError("unsupported", "the method has no budget, and its options say its size", {
      field: kind,
      expected: Object.keys(options).join(", "),
    });
  const of = kind === "keepParams" ? "weights" : "macs";
  const most = keep * countsOf(graph, inputs)[of];
  let least = Number.POSITIVE_INFINITY;
  let refusal: FilterBasisError | undefined;
  for (const size of sizes) {
    const made = unlessRefused(() => countsOf(appliedTo(graph, name, size).graph, inputs)[of]);
    if (made instanceof FilterBasisError) refusal = made;
    else if (made <= most) return size;
    else least = Math.min(least, made);
  }
  if (least === Number.POSITIVE_INFINITY && refusal !== undefined) throw refusal;
  throw new FilterBasisError("budget-unreachable", "no size of the method keeps the budget", {
    field: kind,
    expected: `at most ${keep}`,
    got: (keep * (least / most)).toFixed(3),
  });
}

/**
 * The network that a method makes.
 * @throws FilterBasisError `unsupported` where nothing in the network is of its kind
 */
export function appliedTo(graph: Graph, name: string, options: object): PassResult {
  const result = methodPass(name, options)(graph);
  if (result.outcomes.some(({ applied }) => applied)) return result;
  const skipped = result.outcomes.map(({ reason }) => reason);
  const times = (reason: string): number => skipped.filter((other) => other === reason).length;
  const [why = "the network has no layers"] = [...new Set(skipped)].sort((a, b) => times(b) - times(a));
  throw new FilterBasisError("unsupported", `the method finds nothing to do: of most layers, ${why}`);
}

/** A size that a network cannot have is no reason to try no other. */
function unlessRefused(count: () => number): number | FilterBasisError {
  try {
    return count();
  } catch (error) {
    if (isError(error) && error.code !== "internal") return error;
    throw error;
  }
}
