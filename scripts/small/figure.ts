// A figure in small: methods at several budgets, from the folders of as many comparisons of one network.
import type { Graph } from "../../src/graph/types.js";
import type { SmallFigure, SmallPoint } from "../../src/report/small-figure.js";
import { bestRow, budgetIn, conditionsOf, sameConditions } from "./row.js";

export interface FigureOptions extends Pick<SmallFigure, "figure" | "title" | "note" | "original"> {
  readonly folders: readonly string[];
  readonly methods: readonly string[];
}

/** @throws Error where the folders' comparisons differ in more than the budget's size */
export async function gatherFigure(graph: Graph, { folders, methods, ...told }: FigureOptions): Promise<SmallFigure> {
  const asked = await Promise.all(
    folders.map(async (folder) => {
      const { budget, ...conditions } = await conditionsOf(folder);
      const { kind, value } = budgetIn({ budget });
      if (kind === undefined || value === undefined) throw new Error(`${folder} holds no comparison of methods`);
      return { folder, value, conditions: { budget: kind, ...conditions } };
    }),
  );
  const conditions = sameConditions(asked);
  const budgets = [...new Set(asked.map(({ value }) => value))].sort((a, b) => b - a);
  const points: SmallPoint[] = [];
  for (const method of methods)
    for (const budget of budgets) {
      const own = asked.filter(({ value }) => value === budget).map(({ folder }) => folder);
      points.push({ budget, ...(await bestRow(graph, own, method)) });
    }
  return { ...told, conditions, points };
}
