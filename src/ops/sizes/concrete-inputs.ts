// Sizes for the axes that a model leaves free, where a count or a trial run needs some and the caller states none. What
// shapes tell is decided here; `findInputs` (runtime) tries what is chosen in ONNX Runtime as well.
import { FilterBasisError, isError } from "../../errors/error.js";
import { elements, nodeName } from "../../graph/attributes.js";
import { symbolsOf } from "../../graph/dims.js";
import type { Dim, Graph } from "../../graph/types.js";
import { roughWork } from "../cost/layers.js";
import { inferShapes } from "../infer.js";
import { noSizes } from "./example-input.js";
import { type FreeSizes, freeSizes, shapesOf } from "./free-sizes.js";
import { type SizeDemands, sizeDemands } from "./size-choices.js";
import type { SizeEquation } from "./size-equations.js";
import { type Assignment, assignments, type Sizes } from "./size-search.js";
import { kindsOf } from "./usual-sizes.js";

export type Shapes = ReadonlyMap<string, readonly number[]>;

/** An input for which sizes were chosen, and why these. A batch of 1 is nobody's choice and not among them. */
export interface ChosenSizes {
  readonly input: string;
  readonly dims: readonly number[];
  readonly why: string;
}

export interface InputSizes {
  /** Of every input of known or stated rank. */
  readonly shapes: Shapes;
  readonly chosen: readonly ChosenSizes[];
  /** True where any size was chosen. */
  readonly guessed: boolean;
}

/**
 * Sizes that take more than these (`elements` of all values that nodes make, `fed` of the inputs) are put off until
 * everything smaller was refused; above the second they are never tried. The limits are high: the same sizes are to be
 * chosen for a network and for what it is compressed to.
 */
const comfortable = { macs: 2e11, elements: 2 ** 27, fed: 2 ** 23 };
const bearable = { macs: 2e12, elements: 2 ** 29, fed: 2 ** 25 };
/** Assignments of which shapes are inferred before the search gives up. */
const patience = 150;

/** The inputs' shapes with every axis a number: see `chooseInputs`. */
export function concreteInputs(graph: Graph, stated: ReadonlyMap<string, readonly Dim[]>): Shapes {
  return chooseInputs(graph, stated).shapes;
}

/**
 * The first sizes with which no shapes of the model contradict each other: as stated, as the model fixes them, or else
 * batch 1, the channels and features that the model's constants demand, and what is usual. Inputs of unknown rank that
 * are not stated are left out.
 * @throws FilterBasisError those of `freeSizes`; `shape-mismatch` where no sizes fit, naming --input
 * @example
 * ```ts
 * import { buildNet, chooseInputs, cost, inferShapes } from "filterbasis/browser";
 *
 * const graph = buildNet("edsr", { blocks: 1, width: 8, scale: 2 });
 * const { shapes } = chooseInputs(graph, new Map([["input", [1, 3, null, null]]]));
 * console.log(shapes, inferShapes(graph, shapes).get(graph.outputs[0].name), cost(graph, shapes).macs);
 * ```
 */
export function chooseInputs(graph: Graph, stated: ReadonlyMap<string, readonly Dim[]> = new Map()): InputSizes {
  const first = inputCandidates(graph, stated).next();
  if (first.done) throw first.value;
  return first.value;
}

/**
 * Sizes that fit as far as shapes tell, likely ones first, large ones last; where there are no more, the error that
 * says what kept the others out. With every size stated or fixed there is one candidate, which is not checked.
 */
export function* inputCandidates(
  graph: Graph,
  stated: ReadonlyMap<string, readonly Dim[]> = new Map(),
): Generator<InputSizes, FilterBasisError> {
  const free = freeSizes(graph, stated);
  if (free.symbols.length === 0) {
    yield { shapes: shapesOf(free, new Map()), chosen: [], guessed: false };
    return noSizes(graph, stated);
  }
  const tried: Tried = { refused: [], large: [] };
  let left = patience;
  const demands = sizeDemands(graph, free);
  for (const assignment of assignments(demands)) {
    if (--left < 0) break;
    if (tried.large.some((one) => covers(assignment.sizes, one.assignment.sizes))) continue;
    const candidate = check(graph, free, assignment, tried);
    if (candidate !== undefined) yield candidate;
  }
  const large = tried.large.filter((one) => one.bearable).sort((a, b) => a.macs - b.macs);
  for (const { assignment } of large) yield candidateOf(graph, free, assignment, tried);
  return noSizes(graph, stated, tried.failure ?? unmet(demands));
}

/** What kept every size out before shapes were inferred. */
function unmet({ equations }: SizeDemands): FilterBasisError | undefined {
  const [hardest] = [...equations].filter(({ likely }) => !likely).sort((a, b) => b.dim.length - a.dim.length);
  if (hardest === undefined) return undefined;
  const { node, dim, equals } = hardest;
  return new FilterBasisError("shape-mismatch", "no size of the inputs makes this one right", {
    node: nodeName(node),
    op: node.op,
    expected: String(equals),
    got: dim,
  });
}

interface Tried {
  readonly refused: Shapes[];
  readonly large: { readonly assignment: Assignment; readonly macs: number; readonly bearable: boolean }[];
  failure?: FilterBasisError;
}

/** The candidate, unless it is refused or put off. */
function check(graph: Graph, free: FreeSizes, assignment: Assignment, tried: Tried): InputSizes | undefined {
  const candidate = candidateOf(graph, free, assignment, tried);
  try {
    const fed = [...candidate.shapes.values()].reduce((sum, dims) => sum + elements(dims), 0);
    const work = { ...roughWork(graph, inferShapes(graph, candidate.shapes)), fed };
    if (isWithin(comfortable, work)) return candidate;
    tried.large.push({ assignment, macs: work.macs, bearable: isWithin(bearable, work) });
  } catch (error) {
    if (!isError(error, "shape-mismatch")) throw error;
    tried.failure ??= error;
    tried.refused.push(candidate.shapes);
  }
  return undefined;
}

const isWithin = (limits: typeof comfortable, work: typeof comfortable): boolean =>
  work.macs <= limits.macs && work.elements <= limits.elements && work.fed <= limits.fed;

/** Is every size at least as large? */
const covers = (sizes: Sizes, large: Sizes): boolean =>
  [...large].every(([symbol, size]) => sizes.get(symbol)! >= size);

function candidateOf(graph: Graph, free: FreeSizes, { sizes, needed }: Assignment, tried: Tried): InputSizes {
  const shapes = shapesOf(free, sizes);
  const kinds = kindsOf(graph, free);
  const isChosen = (symbol: string) => kinds.get(symbol) !== "batch" || sizes.get(symbol) !== 1;
  const chosen = [...free.dims]
    .filter(([, dims]) => dims.some((dim) => [...symbolsOf(dim)].some(isChosen)))
    .map(([input]) => ({ input, dims: shapes.get(input)!, why: reason(input, needed, tried) }));
  return { shapes, chosen, guessed: chosen.length > 0 };
}

function reason(input: string, needed: SizeEquation | undefined, { refused, large }: Tried): string {
  if (needed !== undefined) return `free in the model, what ${nodeName(needed.node)} needs`;
  if (refused.length > 0) return refusedBefore(refused, input);
  return large.length > 0 ? "free in the model, larger ones take long" : "free in the model";
}

/** The reason for sizes after others were refused. */
export function refusedBefore(refused: readonly Shapes[], input: string): string {
  const more = refused.length > 1 ? ` and ${refused.length - 1} more` : "";
  return `free in the model, ${refused[0]!.get(input)!.join("x")}${more} refused`;
}
