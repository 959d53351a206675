// Results of runs as files: what was measured, with the conditions. Only from such files do our own metrics get into a
// table.
import { z } from "zod";
import { FilterBasisError } from "../errors/error.js";

const metrics = z.record(z.string(), z.number());

const schema = z.looseObject({
  /** The recipe's name. */
  recipe: z.string(),
  /** Metrics of the last epoch: top1Error in percent, or PSNR in dB by data set. */
  metrics,
  /** What was evaluated on, where that is one data set: then `psnr` is a metric of that set. */
  data: z.string().optional(),
  epochs: z.number(),
  /** Epochs that the recipe asks for; more than `epochs` where the run was cut short. */
  epochsOfRecipe: z.number().optional(),
  seed: z.int(),
  /** What was changed in the recipe, as --set takes it. */
  changes: z.array(z.string()).default([]),
  machine: z.string(),
  commit: z.string().nullable(),
  hours: z.number().optional(),
});

/** One run's result. */
export type RunResult = z.infer<typeof schema>;

/**
 * Reads a file of `results/`: a result, or a list of them. Files of other kinds (benchmarks) give none.
 * @throws FilterBasisError `malformed`
 */
export function parseResults(text: string, file: string): readonly RunResult[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FilterBasisError("malformed", "the result is not JSON", { file, cause });
  }
  const items = Array.isArray(value) ? (value as unknown[]) : [value];
  return items.filter(isRun).map((item) => {
    const result = schema.safeParse(withMetrics(item));
    if (result.success) return byDataSet(result.data);
    const issue = result.error.issues[0];
    throw new FilterBasisError("malformed", issue?.message ?? "not a result", {
      file,
      field: issue?.path.join(".") ?? "",
    });
  });
}

const imageSets = ["Set5", "Set14", "B100", "Urban100", "DIV2K"];

/**
 * A PSNR on a set of the paper's tables gets that set's name; the set is known by the last part of its folder's path.
 */
function byDataSet(result: RunResult): RunResult {
  const { psnr } = result.metrics;
  const folder = result.data?.split(/[/\\]/).filter(Boolean).at(-1)?.toLowerCase();
  const set = imageSets.find((name) => name.toLowerCase() === folder);
  return psnr === undefined || set === undefined ? result : { ...result, metrics: { ...result.metrics, [set]: psnr } };
}

const isRun = (item: unknown): item is object =>
  typeof item === "object" && item !== null && "recipe" in item && ("metrics" in item || "figures" in item);

/** Results of 0.1 call the metrics figures. */
const withMetrics = (item: object): object => ("figures" in item ? { metrics: item.figures, ...item } : item);

/** The conditions in one line. */
export function conditions({
  recipe,
  epochs,
  epochsOfRecipe = epochs,
  seed,
  changes,
  machine,
  commit,
  hours,
}: RunResult): string {
  const length = epochs === epochsOfRecipe ? `${epochs} epochs` : `${epochs} of ${epochsOfRecipe} epochs`;
  const parts = [
    length,
    `seed ${seed}`,
    ...changes,
    machine,
    commit === null ? "" : `commit ${commit}`,
    hours === undefined ? "" : `${hours.toFixed(1)} h`,
  ];
  return `${recipe}: ${parts.filter(Boolean).join(", ")}`;
}
