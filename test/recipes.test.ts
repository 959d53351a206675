// The recipes say what they stand for, and what they build counts what they say.
import { basename, extname } from "node:path";
import { describe, expect, it } from "vitest";
import { countsOf } from "../src/methods/counts.js";
import { methodNamed, methodPass } from "../src/methods/methods.js";
import { buildNet } from "../src/nets/table.js";
import { cost } from "../src/ops/cost/cost.js";
import { paperTables } from "../src/report/paper.js";
import { listRecipes, loadRecipe } from "../src/train/recipe-files.js";

const files = (await listRecipes()).filter((file) => file.includes("/tables/"));
const named = new Map(files.map((file) => [basename(file, extname(file)), file]));

describe("recipes of the paper's tables", () => {
  it("are one for every Baseline and Basis row, and cite that row", async () => {
    const rows = paperTables.flatMap(({ number, rows }) =>
      rows.flatMap(({ row, recipe }) => (recipe === undefined ? [] : [{ number, row, recipe }])),
    );
    expect(rows.map(({ recipe }) => recipe).sort()).toEqual([...named.keys()].sort());
    for (const { number, row, recipe } of rows) {
      const { table, name } = await loadRecipe(named.get(recipe) ?? recipe);
      expect({ number: table?.number, row: table?.row, name }).toEqual({ number, row, name: recipe });
    }
    const without = paperTables.flatMap(({ number, rows }) =>
      rows
        .filter(({ recipe, row }) => recipe === undefined && /Basis|Baseline/.test(row))
        .map(({ row }) => `${number} ${row}`),
    );
    expect(without).toEqual([]);
  });

  it.each([...named])("%s builds a network that counts what it cites", async (_, file) => {
    const { network, compress, table } = await loadRecipe(file);
    const { name, file: _weights, ...options } = network;
    if (name === undefined) return; // what it begins with is trained first; the tables count its row
    const plain = buildNet(name, { ...options, init: "zeros" });
    const { method = "", ...given } = compress ?? {};
    if (["kse", "slimming", "amc"].includes(method)) {
      expect(table?.note).toMatch(/depends on the trained filters/);
      return;
    }
    const init = compress !== undefined && "init" in methodNamed(method).options ? { init: "zeros" } : {};
    const graph = compress === undefined ? plain : methodPass(method, { ...given, ...init })(plain).graph;
    const { layers } = cost(graph);
    const { weights } = countsOf(graph);
    const counted =
      (table?.number ?? 0) > 3
        ? weights
        : layers.filter(({ node }) => node.startsWith("body.0.")).reduce((sum, layer) => sum + layer.weights, 0);
    expect(counted).toBe(table?.counted);
  });
});
