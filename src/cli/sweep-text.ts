// A sweep as text: commands for a shell, and the script of an array job.
import type { GridPoint } from "./sweep-grid.js";

/** One run of a sweep as a sweep of one point: finished it does nothing, stopped it goes on. */
export function commandLine(recipe: string, point: GridPoint, folder: string): string {
  const sets = point.map(([field, value]) => `--set ${quoted(`${field}=${value}`)}`);
  return ["filterbasis sweep", quoted(recipe), ...sets, "-o", quoted(folder)].join(" ");
}

/** The command that shows the table of all runs. */
export function gatherLine(recipe: string, sets: readonly string[], folder: string): string {
  const grid = sets.map((set) => `--set ${quoted(set)}`);
  return ["filterbasis sweep", quoted(recipe), ...grid, "-o", quoted(folder), "--gather"].join(" ");
}

/** As a shell takes it for one word. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** The script that sbatch takes: task N of the array is command N; the table is gathered from the shared folder. */
export function slurmScript(name: string, commands: readonly string[], gather: string): string {
  return [
    "#!/bin/bash",
    `#SBATCH --job-name=${name}`,
    `#SBATCH --array=0-${commands.length - 1}`,
    "#SBATCH --output=%x-%A-%a.log",
    "# add what your cluster asks for: --partition, --gres=gpu:1, --time",
    `# the table, whenever it is wanted: ${gather}`,
    'case "$SLURM_ARRAY_TASK_ID" in',
    ...commands.map((line, at) => `${at}) ${line} ;;`),
    "esac",
  ].join("\n");
}
