// What `compress` measured of a file that it wrote, kept in the cache folder by the file's content, so that `report`
// can show it: the bytes of the file itself depend on no measurement. `--json` prints the same.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { fits } from "../data/codec.js";
import { channelOrders } from "../data/inputs.js";
import { FilterBasisError } from "../errors/error.js";
import { cacheFolder } from "../runtime/cache-folder.js";
import { pruneFolder } from "../runtime/prune-folder.js";
import { writeAside } from "../runtime/write.js";
import { toJson } from "./frame.js";

const milliseconds = z.object({ original: z.number(), written: z.number() });
const mean = z.object({ mean: z.number(), interval: z.number() });
const whole = z.number().int().positive();
const counts = z.object({ weights: z.number(), macs: z.number(), bytes: z.number() });
const kind = z.enum(["mask", "classes", "decibels", "relative"]);
const layer = z.object({
  name: z.string(),
  filters: z.array(z.number()),
  factors: z.string(),
  weights: z.number(),
  macs: z.number(),
  error: z.number(),
  refit: z.string().optional(),
  milliseconds: milliseconds.optional(),
});

const schema = counts.extend({
  method: z.literal("calibrated"),
  before: counts,
  layers: z.array(layer),
  dense: z.array(layer).default([]),
  skipped: z.array(z.object({ name: z.string(), reason: z.string() })),
  milliseconds,
  images: z.number(),
  compared: z.object({
    inputs: z.number(),
    fitted: z.boolean(),
    chosen: z.boolean(),
    loss: z.object({ output: z.string(), kind, mean: z.number(), interval: z.number() }),
    outputs: z.array(
      z.object({
        output: z.string(),
        kind,
        loss: mean,
        relative: mean,
        correlation: z.number().nullable(),
        iou: mean.nullable(),
        classesAgree: mean.nullable(),
        psnr: z.number().nullable(),
        psnrToTruth: z.object({ original: mean, other: mean }).nullable(),
        top1Error: z.object({ original: z.number(), other: z.number() }).nullable(),
      }),
    ),
  }),
  /** Where the precision was chosen: which layers compute in eight bits, and why the others do not. */
  eightBits: z
    .object({ layers: z.array(z.string()), float: z.array(z.object({ name: z.string(), reason: z.string() })) })
    .optional(),
  curve: z.array(z.object({ milliseconds: z.number(), loss: z.number() })).default([]),
  /** Of the layers together, as the curve has it. */
  layersLoss: z.number().optional(),
  tried: z
    .array(
      z.object({ milliseconds: z.number().optional(), layers: z.number().optional(), loss: z.number().optional() }),
    )
    .default([]),
  /** Which model and images these were, where this machine wrote it. */
  source: z
    .object({
      model: z.string(),
      data: z.string(),
      /** How images become inputs, as options of `modelFeeds`. */
      options: z.object({
        size: z.object({ width: whole, height: whole }).optional(),
        fit: z.enum(fits).optional(),
        normalize: z.string().optional(),
        channels: z.enum(channelOrders).optional(),
        range: z.union([z.literal(1), z.literal(255)]).optional(),
        limit: whole.optional(),
        seed: z.number().int().min(0).optional(),
        scale: whole.optional(),
        input: z.string().optional(),
      }),
    })
    .optional(),
});

export type KeptReport = z.output<typeof schema>;

const place = async (file: string): Promise<string> => {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(file)) hash.update(piece as Uint8Array);
  return join(cacheFolder(), "compressions", `${hash.digest("hex").slice(0, 40)}.json`);
};

/** What all that is kept may take on the disk. */
const mostBytes = 50e6;

/** Keeps what was measured of a file. A cache that cannot be written is no error: `--json` has it too. */
export async function keepReport(file: string, report: object): Promise<void> {
  try {
    const path = await place(file);
    await mkdir(dirname(path), { recursive: true });
    await writeAside(path, toJson(report));
    await pruneFolder(dirname(path), mostBytes);
  } catch {
    // `report` says that nothing is kept
  }
}

/** What was kept of a file; undefined where there is nothing, or what another version wrote. */
export async function keptReport(file: string): Promise<KeptReport | undefined> {
  const text = await readFile(await place(file), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** What `compress --json` printed, out of a file. @throws FilterBasisError `not-found`, `malformed` */
export async function readReport(file: string): Promise<KeptReport> {
  const text = await readFile(file, "utf8").catch(() => {
    throw new FilterBasisError("not-found", "there is no such file", { file });
  });
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (cause) {
    throw new FilterBasisError("malformed", "this is not JSON", { file, cause });
  }
  const checked = schema.safeParse(data);
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw new FilterBasisError("malformed", "this is not what `compress --data --json` prints", {
    file,
    field: issue?.path.join(".") ?? "",
    got: issue?.message ?? "",
  });
}
