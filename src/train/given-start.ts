// A training that begins from a file: a model that was made of the network before, by calibration or in eight bits.
import { prepare } from "../compress/prepare.js";
import { FilterBasisError } from "../errors/error.js";
import type { Graph, Value } from "../graph/types.js";
import { floatWeights } from "../passes/quantize/float-weights.js";
import { loadModel } from "../runtime/files.js";
import type { Recipe } from "./recipe.js";

type Beginning = Pick<Recipe, "start" | "compress" | "rounding" | "network">;

/** Whether a training begins from another network than its original, so that both are kept and evaluated. */
export const hasStart = ({ compress, start, rounding }: Beginning): boolean =>
  compress !== undefined || start !== undefined || rounding !== "none";

/** What can be known before any file is read. @throws FilterBasisError `invalid-recipe` */
export function checkBeginning({ start, compress, rounding, network }: Beginning): void {
  if (start !== undefined && compress !== undefined) {
    throw new FilterBasisError("invalid-recipe", "a training begins from a file or from what `compress` makes", {
      field: "start",
      expected: "`start` or `compress`",
      got: "both",
    });
  }
  if (rounding === "none" || (compress === undefined && (start ?? network.file) !== undefined)) return;
  throw notInEightBits(compress === undefined ? "no file" : "a recipe that compresses");
}

/**
 * The file named by `start`.
 * @throws FilterBasisError `not-found`, `malformed` and whatever reading throws; `data-mismatch` where its inputs or
 * outputs are not the original's; `invalid-recipe` where rounding is asked for and the file is not in eight bits
 */
export async function givenStart(file: string, original: Graph, rounding: Recipe["rounding"]): Promise<Graph> {
  const read = rounding === "none" ? await loadModel(file) : await inEightBits(file);
  for (const end of ["inputs", "outputs"] as const) {
    const [expected, got] = [portsOf(original[end]), portsOf(read[end])];
    if (expected === got) continue;
    throw new FilterBasisError("data-mismatch", `the ${end} of the start are not those of the network`, {
      ...{ file, field: "start", expected, got },
      cures: ["name the file that the start was made of as network.file"],
    });
  }
  return rounding === "none" ? prepare(read, { keepBatchNorm: true }).graph : read;
}

/** A network in eight bits, whose pairs stay. @throws FilterBasisError `invalid-recipe` */
export async function inEightBits(file: string): Promise<Graph> {
  const graph = await loadModel(file);
  if (floatWeights(graph).learned.size > 0) return graph;
  throw notInEightBits(file);
}

const notInEightBits = (got: string): FilterBasisError =>
  new FilterBasisError("invalid-recipe", "rounding is of a network that is in eight bits already", {
    field: "rounding",
    expected: "`start` or network.file with pairs of QuantizeLinear and DequantizeLinear, and no `compress`",
    got,
    cures: ["write it first: filterbasis compress MODEL -o FILE --data DATA --precision int8"],
  });

/** Names and sizes; an axis is as good as any other where one of the two leaves it free. */
function portsOf(values: readonly Value[]): string {
  return values.map(({ name, tensor }) => `${name} (${tensor?.dims?.length ?? "?"} axes)`).join(", ") || "none";
}
