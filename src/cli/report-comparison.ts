// The report of a comparison of methods: what `compare --methods` left in its folder.
import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { FilterBasisError } from "../errors/error.js";
import { countsOf } from "../methods/counts.js";
import { methods } from "../methods/methods.js";
import type { ComparedMethod, ComparedOriginal, ComparisonReport } from "../report/comparison.js";
import { loadModel } from "../runtime/files.js";
import { modelBytes } from "../runtime/model-bytes.js";
import { readJson } from "../train/run-folder.js";
import { lossNames } from "./loss-text.js";
import { comparisonFiles } from "./method-comparison.js";
import { originalFile } from "./method-quality.js";
import { rowFile } from "./method-rows.js";

const requestSchema = z.looseObject({
  budget: z.object({ kind: z.enum(["keepParams", "keepMacs", "speedup"]), value: z.number() }),
  data: z.string(),
  epochs: z.number().optional(),
  steps: z.number().optional(),
  batch: z.number(),
  seed: z.number(),
  calibrate: z.number(),
  device: z.string().optional(),
});
type Request = z.output<typeof requestSchema>;

const counts = { weights: z.number(), parameters: z.number(), macs: z.number(), bytes: z.number() };
const originalSchema = z.looseObject({ ...counts, top1Error: z.number().optional() });

const quality = z.looseObject({
  top1Error: z.number().optional(),
  loss: z.looseObject({ kind: z.enum(["mask", "classes", "decibels", "relative"]), mean: z.number() }),
});
const rowSchema = z
  .looseObject({
    ...counts,
    paperMacs: z.number(),
    compressed: quality,
    calibrated: quality,
    tuned: quality,
    milliseconds: z.looseObject({ original: z.number(), written: z.number(), ratio: z.number() }),
    reason: z.string(),
  })
  .partial();
type Row = z.output<typeof rowSchema>;

const budgets = {
  keepParams: { against: "weights", told: (value: number) => `${percent(value)} of the weights` },
  keepMacs: { against: "macs", told: (value: number) => `${percent(value)} of the multiply-accumulates` },
  speedup: { against: "milliseconds", told: (value: number) => `${value} times the speed` },
} as const satisfies Record<Request["budget"]["kind"], unknown>;

const percent = (value: number): string => `${Number((100 * value).toPrecision(4))} %`;

/**
 * What the page of a comparison shows; undefined for a folder that holds none.
 * @throws FilterBasisError `malformed`; what loading the network throws
 */
export async function readComparison(folder: string): Promise<ComparisonReport | undefined> {
  const request = await read(requestSchema, folder, comparisonFiles.request);
  if (request === undefined) return undefined;
  const there = await readdir(folder);
  const names = Object.keys(methods).filter((name) => there.includes(name));
  const rows = await Promise.all(names.map((name) => read(rowSchema, join(folder, name), rowFile)));
  const original = (await read(originalSchema, folder, originalFile)) ?? (await counted(folder));
  const measured = [original, ...rows.map((row) => row?.compressed)];
  const errors = measured.some((one) => one?.top1Error !== undefined);
  const kind = rows.find((row) => row?.compressed)?.compressed?.loss.kind;
  const { against, told } = budgets[request.budget.kind];
  return {
    title: `Methods at ${told(request.budget.value)}`,
    about: about(folder, request),
    error: errors ? { name: "top-1 error", percent: true } : { name: kind ? lossNames[kind] : "loss", percent: false },
    against,
    original: originalOf(original, rows),
    methods: names.map((name, at) => comparedMethod(name, rows[at], errors)),
  };
}

async function read<T>(schema: z.ZodType<T>, folder: string, name: string): Promise<T | undefined> {
  const value = await readJson<unknown>(folder, name);
  if (value === undefined) return undefined;
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw new FilterBasisError("malformed", "this is not what `compare --methods` writes", {
    file: join(folder, name),
    field: issue?.path.join(".") ?? "",
    got: issue?.message ?? "",
  });
}

type Original = z.output<typeof originalSchema>;

/** Where the original was not measured. */
async function counted(folder: string): Promise<Original> {
  const network = join(folder, comparisonFiles.network);
  return { ...countsOf(await loadModel(network)), bytes: await modelBytes(network) };
}

function originalOf(original: Original, rows: readonly (Row | undefined)[]): ComparedOriginal {
  const { weights, parameters, macs, bytes, top1Error: error } = original;
  const milliseconds = rows.find((row) => row?.milliseconds !== undefined)?.milliseconds?.original;
  return defined({ weights, parameters, macs, bytes, error, milliseconds });
}

function comparedMethod(method: string, row: Row | undefined, errors: boolean): ComparedMethod {
  if (row === undefined) return { method, reason: "not finished: the same command goes on with it" };
  const { weights, parameters, macs, paperMacs, bytes, milliseconds, reason } = row;
  const error = (stage: Row["tuned"]) => (errors ? stage?.top1Error : stage?.loss.mean);
  const [compressed, calibrated, tuned] = [row.compressed, row.calibrated, row.tuned].map(error);
  const measured = { compressed, calibrated, tuned, milliseconds };
  return { method, ...defined({ ...measured, weights, parameters, macs, paperMacs, bytes, reason }) };
}

type Defined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** Without what is undefined. */
const defined = <T extends object>(values: T): Defined<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;

function about(folder: string, { data, epochs, steps, batch, seed, calibrate, device }: Request): readonly string[] {
  const some = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;
  const length = steps === undefined ? some(epochs ?? 1, "epoch") : some(steps, "step");
  const where = device === undefined ? "" : `, on ${device}`;
  return [
    `${basename(resolve(folder))}, on ${data}: ${length} of fine-tuning in batches of ${batch}; calibration batches ${calibrate}; seed ${seed}${where}`,
  ];
}
