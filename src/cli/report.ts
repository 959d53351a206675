// `report`: a run folder as one self-contained HTML page.
import { readdir, readFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { parseHTML } from "linkedom";
import { FilterBasisError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { type LayerRow, layerRows } from "../report/layers.js";
import { type Figures, type RunReport, reportPage } from "../report/page.js";
import { parseMetrics } from "../report/run.js";
import { loadModel } from "../runtime/files.js";
import { writeAside } from "../runtime/write.js";
import { readJson, runFiles } from "../train/run-folder.js";
import { command } from "./frame.js";

export default command({
  name: "report",
  summary: "one self-contained HTML page of a run",
  args: {
    run: { type: "positional", description: "a run folder", required: true },
    output: { type: "string", alias: "o", description: "the page; by default report.html in the run folder", valueHint: "FILE" },
  },
  async run({ run, output }) {
    const report = await readRun(run);
    const file = output ?? join(run, "report.html");
    const { document } = parseHTML("<!doctype html><html><body></body></html>");
    const html = reportPage(report, document as unknown as Document);
    await writeAside(file, html);
    const { metrics, layers, pictures } = report;
    return {
      json: {
        file,
        bytes: Buffer.byteLength(html),
        steps: metrics.steps.length,
        epochs: metrics.epochs.length,
        layers: layers.length,
        pictures: pictures.length,
      },
      text: `wrote ${file}: ${metrics.steps.length} steps, ${metrics.epochs.length} epochs, ${layers.length} compressed layers, ${pictures.length} pictures`,
    };
  },
});

/** Everything of a run folder that the page shows. @throws FilterBasisError `not-found`, `malformed` */
export async function readRun(folder: string): Promise<RunReport> {
  const metricsFile = join(folder, runFiles.metrics);
  const text = await readFile(metricsFile, "utf8").catch(() => {
    throw new FilterBasisError("not-found", "this is no run folder, or nothing was measured yet", {
      file: metricsFile,
      cures: ["give the folder that `train` wrote"],
    });
  });
  const metrics = parseMetrics(text, metricsFile);
  const [recipe, run, summary, timings] = await Promise.all([
    readJson<Record<string, unknown>>(folder, runFiles.recipe),
    readJson<Record<string, unknown>>(folder, runFiles.run),
    readJson<Record<string, unknown>>(folder, runFiles.summary),
    readJson<unknown>(folder, runFiles.layers),
  ]);
  const [original, learned] = [await model(folder, runFiles.original), await model(folder, runFiles.last)];
  return {
    title: typeof recipe?.name === "string" ? recipe.name : basename(resolve(folder)),
    about: about(run, metrics.epochs.at(-1)?.seconds),
    metrics,
    states: states(summary),
    layers: learned ? withTimings(layerRows(learned, original), timings) : [],
    pictures: await pictures(folder),
    recipe: recipe ? JSON.stringify(recipe, null, 2) : "",
  };
}

/** A model of the run, or undefined where it has not been written yet. */
async function model(folder: string, name: string): Promise<Graph | undefined> {
  try {
    return await loadModel(join(folder, name));
  } catch (error) {
    if (error instanceof FilterBasisError && error.code === "not-found") return undefined;
    throw error;
  }
}

function about(run: Record<string, unknown> | undefined, seconds: number | undefined): string[] {
  const flat = { ...(record(run?.versions) ?? {}), ...run };
  const parts = Object.entries(flat).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value));
  const time = seconds === undefined ? [] : [`learned for ${(seconds / 60).toFixed(1)} minutes`];
  return [...time, parts.map(([name, value]) => `${name} ${value}`).join(" · ")].filter(Boolean);
}

function states(summary: Record<string, unknown> | undefined): RunReport["states"] {
  return ["before", "compressed", "learned"].flatMap((name) => {
    const figures = record(summary?.[name]);
    return figures ? [{ name, figures: numbersOf(figures) }] : [];
  });
}

function numbersOf(values: Record<string, unknown>): Figures {
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, number] => typeof entry[1] === "number"));
}

/** Latencies per layer, where the run measured them: a list of { name, latencyMs, latencyBeforeMs }. */
function withTimings(rows: readonly LayerRow[], timings: unknown): LayerRow[] {
  const list = Array.isArray(timings) ? timings : (record(timings)?.layers ?? []);
  const byName = new Map((Array.isArray(list) ? list : []).map((entry) => [record(entry)?.name, record(entry)]));
  return rows.map((row) => {
    const { latencyMs, latencyBeforeMs } = numbersOf(byName.get(row.name) ?? {});
    return {
      ...row,
      ...(latencyMs === undefined ? {} : { latencyMs }),
      ...(latencyBeforeMs === undefined ? {} : { latencyBeforeMs }),
    };
  });
}

const record = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;

/** PNG and JPEG pictures that the run left in its folder or in `pictures/`. */
async function pictures(folder: string): Promise<RunReport["pictures"]> {
  const found: { caption: string; url: string }[] = [];
  for (const place of [folder, join(folder, "pictures")]) {
    const names = await readdir(place).catch(() => []);
    for (const name of names.filter((one) => /\.(png|jpe?g)$/i.test(one)).sort()) {
      const type = /\.png$/i.test(name) ? "image/png" : "image/jpeg";
      const bytes = await readFile(join(place, name));
      found.push({
        caption: name.replace(/\.[a-z]+$/i, "").replaceAll(/[-_]/g, " "),
        url: `data:${type};base64,${bytes.toString("base64")}`,
      });
    }
  }
  return found;
}
