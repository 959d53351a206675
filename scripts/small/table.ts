// A table in small: methods side by side at one budget, from the folders of comparisons of one network; beside the rows
// what other seeds came to.
import type { Graph } from "../../src/graph/types.js";
import { methods } from "../../src/methods/methods.js";
import { notRun, type SmallRow, type SmallTable } from "../../src/report/small-table.js";
import { readJson } from "../../src/train/run-folder.js";
import { bestRow, conditionsOf, rowIn, sameConditions } from "./row.js";

export interface TableOptions extends Pick<SmallTable, "small" | "title" | "note" | "original"> {
  /** Comparisons of one budget and seed, made on one machine or several. */
  readonly folders: readonly string[];
  /** The same comparison from other seeds. */
  readonly seeds?: readonly string[];
  /** The table as it was made before, from folders that are gone: rows and seeds that these folders lack stay. */
  readonly earlier?: SmallTable;
}

/** @throws Error where the folders' comparisons differ in more than the machine, or those of `seeds` in more than it */
export async function gatherTable(
  graph: Graph,
  { folders, seeds = [], earlier, ...told }: TableOptions,
): Promise<SmallTable> {
  const read = async (folder: string) => ({ folder, conditions: await conditionsOf(folder) });
  const before = earlier === undefined ? [] : [{ folder: "the earlier table", conditions: earlier.conditions }];
  const conditions = sameConditions([...before, ...(await Promise.all(folders.map(read)))]);
  const others = await Promise.all(seeds.map(read));
  const { seed } = conditions;
  sameConditions([
    { folder: "the table", conditions },
    ...others.map((other) => ({ ...other, conditions: { ...other.conditions, seed } })),
  ]);
  const rows = await Promise.all(
    Object.keys(methods).map(async (method) => {
      const known = earlier?.rows.find((row) => row.method === method);
      const own = folders.length === 0 ? undefined : await bestRow(graph, folders, method);
      const row = own?.tuned === undefined ? (known ?? own ?? { method, reason: notRun }) : own;
      const otherSeeds = await Promise.all(
        others.map(({ folder, conditions }) => seedOf(graph, folder, method, Number(conditions.seed))),
      );
      return withSeeds(row, [...otherSeeds.filter((one) => one !== undefined), ...(known?.otherSeeds ?? [])]);
    }),
  );
  return { ...told, conditions, rows: rows.toSorted((a, b) => (a.tuned ?? 1e3) - (b.tuned ?? 1e3)) };
}

/** The first of each seed. */
function withSeeds(row: SmallRow, all: readonly OtherSeed[]): SmallRow {
  const otherSeeds = all.filter(({ seed }, i) => all.findIndex((one) => one.seed === seed) === i);
  return otherSeeds.length === 0 ? row : { ...row, otherSeeds };
}

type OtherSeed = NonNullable<SmallRow["otherSeeds"]>[number];

/** What a method came to from another seed; undefined where it was not fine-tuned to the end. */
async function seedOf(graph: Graph, folder: string, method: string, seed: number): Promise<OtherSeed | undefined> {
  const { tuned, evaluatedBy } = (await rowIn(graph, folder, method)) ?? {};
  return tuned === undefined || evaluatedBy === undefined ? undefined : { seed, tuned, evaluatedBy };
}

/** The network that methods were compared on, as the first comparison measured it. */
export async function originalIn(folders: readonly string[]): Promise<SmallTable["original"]> {
  for (const folder of folders) {
    const original = await readJson<SmallTable["original"]>(folder, "original.json");
    if (original === undefined) continue;
    const { top1Error, weights, parameters, macs } = original;
    return { top1Error, weights, parameters, macs };
  }
  throw new Error(`none of ${folders.join(", ")} says how good the original is`);
}
