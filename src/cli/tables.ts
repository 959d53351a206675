// `tables`: a table of the paper beside what was counted and measured here.
import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FilterBasisError } from "../errors/error.js";
import { countsOf } from "../methods/counts.js";
import { methodNamed, methodPass } from "../methods/methods.js";
import { buildNet } from "../nets/table.js";
import { cost } from "../ops/cost/cost.js";
import { type Counted, compare, footnotes, type Line, type Ours } from "../report/compare.js";
import { type PaperRow, type PaperTable, paperTables } from "../report/paper.js";
import { parseResults, type RunResult } from "../report/results.js";
import { type SmallFigure, smallFigureCells } from "../report/small-figure.js";
import { type SmallTable, smallTableCells, smallTableNotRun } from "../report/small-table.js";
import { type SmallTrainings, smallTrainingCells } from "../report/small-trainings.js";
import { loadRecipe } from "../train/recipe-files.js";
import { columns, grouped } from "./columns.js";
import { command } from "./frame.js";

export default command({
  name: "tables",
  summary: "a table of the paper beside what was counted and measured here",
  examples: ["tables 4", "tables 5 --small"],
  args: {
    number: { type: "positional", description: "1 to 6; all without it", required: false },
    small: {
      type: "boolean",
      description: "the table, or figure, in small: small networks, trained here for a few epochs",
    },
    results: { type: "string", description: "folder of the results; by default the project's", valueHint: "FOLDER" },
  },
  readsOnly: true,
  async run({ number, small, results: folder }) {
    const place = folder ?? fileURLToPath(new URL("../../results/", import.meta.url));
    if (small === true) return await smallTables(place, number);
    const chosen = number === undefined ? paperTables : paperTables.filter((table) => String(table.number) === number);
    if (chosen.length === 0)
      throw new FilterBasisError("usage", "the paper has no such table", { expected: "1 to 6", got: number ?? "" });
    const results = await readResults(place, folder !== undefined);
    const made = await Promise.all(chosen.map((table) => oursOf(table, results)));
    const tables = chosen.map((table, i) => {
      const ours = (row: PaperRow): Ours => made[i]?.get(row.row) ?? { results: [] };
      return { number: table.number, title: table.title, lines: compare(table, ours), notes: footnotes(table, ours) };
    });
    const text = tables.map(({ number, title, lines, notes }) =>
      [`Table ${number}. ${title}`, columns([["", "", "paper", "ours", "difference"], ...cells(lines)]), ...notes].join(
        "\n",
      ),
    );
    return { json: { tables }, text: [...text, "-: not printed in the paper, or nothing was run here"].join("\n\n") };
  },
});

/** The tables and figures in small that lie in a folder, or those of the number asked for. */
async function smallTables(folder: string, number: string | undefined) {
  const names = (await readdir(folder).catch(() => [])).filter((name) => smallFile.test(name)).sort(byStem);
  const wanted = names.filter((name) => number === undefined || smallFile.exec(name)?.[2] === number);
  if (wanted.length === 0)
    throw new FilterBasisError("not-found", "no such table was run in small", {
      file: folder,
      expected:
        [...new Set(names.map((name) => smallFile.exec(name)![2]))].sort().join(", ") || "the results of a checkout",
      got: number ?? "",
    });
  const read = async <T>(kind: string): Promise<readonly T[]> =>
    await Promise.all(
      wanted
        .filter((name) => name.startsWith(kind))
        .map(async (name) => JSON.parse(await readFile(join(folder, name), "utf8")) as T),
    );
  const [tables, figures] = [await read<SmallTable | SmallTrainings>("table"), await read<SmallFigure>("figure")];
  const text = [
    ...tables.map((one) =>
      "trainings" in one
        ? smallText(`Table ${one.small}`, one, smallTrainingCells(one))
        : smallText(`Table ${one.small}`, one, smallTableCells(one), smallTableNotRun(one)),
    ),
    ...figures.map((one) => smallText(`Figure ${one.figure}`, one, smallFigureCells(one))),
  ];
  return { json: { tables, ...(figures.length > 0 && { figures }) }, text: text.join("\n") };
}

/** tableN-small.json, and tableN-small-NAME.json for another network. */
const smallFile = /^(table|figure)(\d)-small(-[\w-]+)?\.json$/;

/** A table without a name before those with one. */
const byStem = (one: string, other: string): number => (basename(one, ".json") < basename(other, ".json") ? -1 : 1);

const smallText = (
  what: string,
  { title, note }: Pick<SmallTable, "title" | "note">,
  cells: Parameters<typeof columns>[0],
  below: readonly string[] = [],
) => [`${what} in small. ${title}`, columns(cells), ...below, ...(note === undefined ? [] : [note]), ""].join("\n");

/** Every result file below a folder. A folder that was named has to be there. */
async function readResults(folder: string, named: boolean): Promise<readonly RunResult[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    if (named) throw new FilterBasisError("not-found", "there is no such folder", { file: folder, cause });
    return [];
  });
  const files = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".json"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return (await Promise.all(files.map(async (file) => parseResults(await readFile(file, "utf8"), file)))).flat();
}

/** What stands here for each row of a table; every network is built and counted now, once. */
async function oursOf(table: PaperTable, results: readonly RunResult[]): Promise<ReadonlyMap<string, Ours>> {
  const counts = new Map<string, Promise<{ weights?: number; macs?: number; note?: string }>>();
  const countRecipe = (name: string) => {
    const known = counts.get(name);
    if (known !== undefined) return known;
    const counted = loadRecipe(name).then(({ network, compress, table: cited }) => {
      const { name: net = "", file: _, ...options } = network;
      const note = cited?.note;
      // Where trained filters decide what is left, a recipe cites no count.
      const known = cited?.counted !== undefined;
      return {
        ...(known && count({ network: { ...options, name: net }, ...(compress && { compress }) }, table.unit)),
        ...(typeof note === "string" ? { note } : {}),
      };
    });
    counts.set(name, counted);
    return counted;
  };
  const rows = table.rows.map(async (row): Promise<[string, Ours]> => {
    const ofRecipe = results.filter(({ recipe }) => recipe === row.recipe);
    if (row.recipe === undefined || row.relativeTo === undefined) return [row.row, { results: ofRecipe }];
    const { weights, macs, note } = await countRecipe(row.recipe);
    const told = note === undefined ? {} : { note };
    const base = await countRecipe(row.relativeTo);
    if (weights === undefined || macs === undefined) return [row.row, { results: ofRecipe, ...told }];
    const counted: Counted = {
      weights,
      weightsRate: (100 * weights) / base.weights!,
      macsRate: (100 * macs) / base.macs!,
    };
    return [row.row, { counted, results: ofRecipe, ...told }];
  });
  return new Map(await Promise.all(rows));
}

interface Architecture {
  readonly network: { readonly name: string } & Readonly<Record<string, unknown>>;
  readonly compress?: { readonly method: string } & Readonly<Record<string, unknown>>;
}

/**
 * Weights and MACs, as the method's paper counts them, of the network or of its first residual block. What its
 * parameters are does not matter, so they are 0.
 */
function count(
  { network: { name, ...options }, compress }: Architecture,
  unit: PaperTable["unit"],
): { weights: number; macs: number } {
  const graph = buildNet(name, { ...options, init: "zeros" });
  const { method = "", ...given } = compress ?? {};
  const init = compress !== undefined && "init" in methodNamed(method).options ? { init: "zeros" } : {};
  const compressed = compress === undefined ? graph : methodPass(method, { ...given, ...init })(graph).graph;
  if (unit === "network") {
    const { weights, paperMacs } = countsOf(compressed);
    return { weights, macs: paperMacs };
  }
  const block = cost(compressed).layers.filter(({ node }) => node.startsWith("body.0."));
  return {
    weights: block.reduce((sum, { weights }) => sum + weights, 0),
    macs: block.reduce((sum, { macs }) => sum + macs, 0),
  };
}

/** Lines as cells; a row is named once. */
function cells(lines: readonly Line[]): readonly (readonly string[])[] {
  return lines.map(({ row, what, paper, ours, difference }, i) => {
    const counts = what.startsWith("parameters") && !what.endsWith("%");
    const digits = what.endsWith(" %") && !what.startsWith("top-1") ? 1 : 2;
    const show = (value: number | null) =>
      value === null ? "-" : counts ? grouped(Math.round(value)) : value.toFixed(digits);
    const off =
      difference === null ? "-" : difference === 0 ? "0" : `${difference > 0 ? "+" : "-"}${show(Math.abs(difference))}`;
    return [lines[i - 1]?.row === row ? "" : row, what, show(paper), show(ours), off];
  });
}
