// `sweep`: the runs of a grid of recipe fields: as commands, in processes here, or as an array job of SLURM; gathered
// into one table. A run that is finished is not made again, one that was stopped goes on.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { checkOutputFolder } from "../runtime/output.js";
import { holdsTrained } from "../train/begin.js";
import { loadRecipe } from "../train/recipe-files.js";
import { readJson, runFiles, writeJson } from "../train/run-folder.js";
import { columns } from "./columns.js";
import { command } from "./frame.js";
import { makeFolder } from "./method-comparison.js";
import { runProcesses, sameProgram } from "./processes.js";
import { type GridPoint, gridOf, runName } from "./sweep-grid.js";
import { commandLine, gatherLine, slurmScript } from "./sweep-text.js";
import { metricText, whole } from "./values.js";

const file = "sweep.json";

export default command({
  name: "sweep",
  summary: "train a recipe at every point of a grid: commands, local jobs, or an array job; one table",
  examples: [
    "sweep recipe.yaml --set optimizer.lr=0.1,0.01 --set seed=1,2 --print",
    "sweep recipe.yaml --set seed=1,2,3 --jobs 2",
  ],
  args: {
    recipe: { type: "positional", description: "a recipe's file or name", required: true },
    set: {
      type: "string",
      description: "a field and its values, such as optimizer.lr=0.1,0.01; one for each axis of the grid",
      valueHint: "FIELD=A,B",
      required: true,
    },
    output: {
      type: "string",
      alias: "o",
      description: "the folder of the runs (default: sweeps/NAME)",
      valueHint: "FOLDER",
    },
    print: { type: "boolean", description: "print a command for each run instead of running it" },
    slurm: { type: "boolean", description: "print the script of an array job (sbatch) instead" },
    gather: { type: "boolean", description: "only the table of what there is" },
    task: { type: "string", description: "only run N of the grid, from 0: a task of an array job", valueHint: "N" },
    jobs: { type: "string", description: "runs at the same time (default 1)", valueHint: "N" },
  },
  rules: [{ oneOf: ["print", "slurm", "gather", "task", "jobs"], why: "each says what to do with the runs" }],
  async run(args, context) {
    const sets = context.repeated("set");
    const points = gridOf(sets);
    // every point has to be a recipe before any of them is run
    const recipes = await Promise.all(points.map((point) => loadRecipe(args.recipe, overrides(point))));
    const folder = args.output ?? `sweeps/${recipes[0]!.name}`;
    const runs = points.map((point) => ({ point, folder: join(folder, runName(point)) }));
    const commands = points.map((point) => commandLine(args.recipe, point, folder));
    if (args.print === true) return { json: { folder, commands }, text: commands.join("\n") };
    if (args.slurm === true) {
      const script = slurmScript(recipes[0]!.name, commands, gatherLine(args.recipe, sets, folder));
      return { json: { folder, commands, script }, text: script };
    }
    await beginSweep(folder, args.recipe, points, args.gather === true);
    const task = whole("--task", args.task, 0, runs.length - 1);
    if (args.gather !== true) {
      const states = await Promise.all(runs.map((run) => stateOf(run.folder)));
      const open = runs.filter((_, at) => states[at]!.state !== "finished" && (task === undefined || at === task));
      const jobs = whole("--jobs", args.jobs, 1, 1024) ?? 1;
      const processes = await Promise.all(open.map((run) => process_(args.recipe, run)));
      await runProcesses(processes, jobs, context);
    }
    const shown = task === undefined ? runs : [runs[task]!];
    const rows = await Promise.all(shown.map(async (run) => ({ ...run, ...(await stateOf(run.folder)) })));
    return {
      json: { folder, runs: rows.map(({ point, ...row }) => ({ set: Object.fromEntries(point), ...row })) },
      text: show(rows),
    };
  },
});

const overrides = (point: GridPoint): readonly string[] => point.map(([field, value]) => `${field}=${value}`);

interface SweepFile {
  readonly recipe: string;
  readonly fields: readonly string[];
}

/** Points may be added to a sweep, fields and recipe may not change. @throws FilterBasisError `data-mismatch` */
async function beginSweep(folder: string, recipe: string, points: readonly GridPoint[], only: boolean): Promise<void> {
  const own: SweepFile = { recipe, fields: points[0]!.map(([field]) => field) };
  const there = await readJson<SweepFile>(folder, file);
  if (there === undefined && only)
    throw new FilterBasisError("not-found", "there is no sweep to gather", { file: folder });
  if (there === undefined) {
    await checkOutputFolder(folder);
    await makeFolder(folder);
    await writeJson(folder, file, own);
  } else if (JSON.stringify(there) !== JSON.stringify(own))
    throw new FilterBasisError("data-mismatch", "the folder holds another sweep", {
      file: join(folder, file),
      expected: `${there.recipe} over ${there.fields.join(", ")}`,
      got: `${own.recipe} over ${own.fields.join(", ")}`,
      cures: ["name another folder: -o"],
    });
}

async function process_(recipe: string, { point, folder }: { readonly point: GridPoint; readonly folder: string }) {
  const begun = await holdsTrained(folder);
  const sets = overrides(point).map((one) => `--set=${one}`);
  const words = begun ? ["train", folder, "--resume"] : ["train", recipe, ...sets, "-o", folder];
  return { name: runName(point), ...sameProgram([...words, "--json"]) };
}

interface RunState {
  readonly state: "finished" | "begun" | "waiting" | "failed";
  readonly epoch?: number;
  readonly metrics?: Readonly<Record<string, number>>;
  readonly trainLoss?: number;
  readonly reason?: string;
}

/** What a run's folder says of it. */
async function stateOf(folder: string): Promise<RunState> {
  const log = await readFile(join(folder, runFiles.log), "utf8").catch(() => "");
  const last = log.trim().split("\n").at(-1) ?? "";
  const journal = await readFile(join(folder, runFiles.metrics), "utf8").catch(() => "");
  const epochs = journal
    .split("\n")
    .filter((line) => line.startsWith('{"kind":"epoch"'))
    .map((line) => JSON.parse(line) as { epoch: number; trainLoss: number; metrics: Record<string, number> });
  const found = epochs.at(-1);
  const told = found && { epoch: found.epoch, metrics: found.metrics, trainLoss: found.trainLoss };
  if (/Z finished after/.test(last)) return { state: "finished", ...told };
  if (/Z failed: /.test(last)) return { state: "failed", ...told, reason: last.replace(/^.*?Z failed: /, "") };
  return { state: log === "" ? "waiting" : "begun", ...told };
}

function show(rows: readonly (RunState & { readonly point: GridPoint })[]): string {
  const fields = rows[0]!.point.map(([field]) => field);
  const cells = rows.map(({ point, state, epoch, trainLoss, metrics, reason }) => [
    ...point.map(([, value]) => value),
    state,
    epoch === undefined ? "-" : String(epoch),
    trainLoss === undefined ? "-" : trainLoss.toFixed(4),
    Object.entries(metrics ?? {})
      .map((metric) => metricText(...metric))
      .join(", "),
    reason ?? "",
  ]);
  return columns([[...fields, "state", "epoch", "loss", "", ""], ...cells]);
}
