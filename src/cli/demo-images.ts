// The demo's second half: the super-resolution network that ships with the project is compressed, trains on the outputs
// of the original, and is evaluated on photographs that it was not trained on; an image shows the result (the paper's
// Figure 4).
import { access, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { decodeImage, encodeImage, encodeRaster, imageFormat, interleave } from "../data/codec.js";
import { crop, type Image, toRgb } from "../data/image.js";
import { imresize } from "../data/imresize.js";
import { loadPair } from "../data/load-pair.js";
import { FilterBasisError, isError } from "../errors/error.js";
import { toImage } from "../evaluate/measure-sr.js";
import { psnr } from "../evaluate/psnr.js";
import { describeSrModel, superResolve } from "../evaluate/sr-model.js";
import type { Graph } from "../graph/types.js";
import { type Panel, type RgbImage, sideBySide, tellingPiece } from "../report/figure.js";
import { loadModel } from "../runtime/files.js";
import { findInputs, openSession, writeAside } from "../runtime/index.js";
import { packageRoot } from "../torch/index.js";
import { compressHalf } from "./demo-half.js";
import {
  countOnly,
  type DemoFineTuning,
  evaluateAll,
  type Row,
  type Shapes,
  type Threads,
  type Written,
} from "./demo-models.js";
import type { Context } from "./frame.js";
import { given } from "./values.js";

const scale = 2;
/**
 * Images larger than this are reduced first: at their full size photographs hold no detail for a network to restore.
 */
const longestSide = 1024;
/** One image in so many is kept for evaluation. */
const everyNth = 4;
const pieceSide = 72;
const package_ = "lomiri-wallpapers-16.04";

export interface ImageDemo {
  readonly seconds: number;
  /** Fraction of the multiply-accumulates to keep. */
  readonly keepMacs: number;
  readonly canFineTune: boolean;
}

export interface ImageOutcome {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly images?: number;
  readonly figure?: string;
  readonly credit?: string;
  readonly missing: readonly string[];
  readonly fineTuning?: DemoFineTuning;
}

/** The photographs, made ready; without `sets` there are none, and `missing` says what would help. */
export interface Prepared {
  readonly sets?: Sets;
  readonly credited: boolean;
  readonly missing: readonly string[];
}

/**
 * Finds and reads the photographs: those of `asked`, or those of a Debian package. Done before anything slow, so that
 * an image that cannot be read is told at once.
 * @throws FilterBasisError `not-found` for a folder of the user's without two images, and what decoding throws
 */
export async function prepareImages(output: string, asked: string | undefined, context: Context): Promise<Prepared> {
  const found = await photographs(asked);
  if (found === undefined) {
    context.note(missingImages);
    return { credited: false, missing: [missingImages] };
  }
  return { sets: await prepare(found.folder, found.files, output, context), credited: found.credited, missing: [] };
}

/**
 * Compresses, fine-tunes by distillation on three quarters of the images, evaluates on the rest, draws the figure.
 * Undefined where no network ships.
 */
export async function imageDemo(
  output: string,
  { sets, credited, missing }: Prepared,
  { seconds, keepMacs, canFineTune }: ImageDemo,
  threads: Threads,
  context: Context,
): Promise<ImageOutcome | undefined> {
  const file = join(packageRoot(), "weights", "edsr-8-56-x2.onnx");
  if (!(await exists(file))) return undefined;
  const title = `EDSR with 8 blocks of 56 channels, x2, ${keepMacs} of its multiply-accumulates kept`;
  await mkdir(output, { recursive: true });
  const original = await loadModel(file);
  const inputs = await findInputs(original, { shapes: inputShapes(original) });
  const half = { output, file, original, job: { plan: { keepMacs }, inputs, ...threads }, seconds };
  const recipe = sets && canFineTune ? { recipe: recipeFor(sets.train) } : {};
  const made = await compressHalf({ ...half, ...recipe }, context).catch((error: unknown) => {
    if (!isError(error, "budget-unreachable") && !isError(error, "does-not-pay")) throw error;
    return [error.message, ...error.cures].join("; ");
  });
  if (typeof made === "string") {
    const reason = `nothing is gained of the super-resolution network here: ${made}`;
    context.note(reason);
    return { title, rows: [], missing: [...missing, reason] };
  }
  const { files, fineTuning } = made;
  const rows = sets ? await judgeImages(files, sets.test, threads, context) : countOnly(files, inputs.shapes);
  const drawn = sets ? await draw(files, sets.test, join(output, "figure.png"), threads) : undefined;
  return {
    title: `${title}${fineTuning ? `, fine-tuned by distillation for ${Math.round(fineTuning.seconds)} s` : ""}`,
    rows,
    ...(sets ? { images: sets.count } : {}),
    ...given("figure", drawn?.file),
    ...(credited && drawn ? { credit: creditOf(drawn.name) } : {}),
    missing,
    ...given("fineTuning", fineTuning),
  };
}

const missingImages = `photographs are missing, so no super-resolution is trained or evaluated: give --pictures FOLDER, or apt-get install ${package_}`;

interface Photographs {
  readonly folder: string;
  readonly files: readonly string[];
  /** Whether the names tell the photographers. */
  readonly credited: boolean;
}

/**
 * The photographs asked for, or the Debian package's, which are CC0, CC BY or CC BY-SA.
 * @throws FilterBasisError `not-found` for a folder of the user's without two images
 */
async function photographs(asked: string | undefined): Promise<Photographs | undefined> {
  const folder = asked ?? "/usr/share/backgrounds";
  const names = await readdir(folder).catch(() => [] as string[]);
  const all = names.filter((name) => imageFormat(name) !== undefined && !name.startsWith(".")).sort();
  const files = asked === undefined ? all.filter((name) => /_by_/.test(name)) : all;
  if (files.length >= 2) return { folder, files, credited: asked === undefined };
  if (asked === undefined) return undefined;
  throw new FilterBasisError("not-found", "the demo needs at least two images: some to train on, some to evaluate on", {
    file: folder,
    got: `${files.length} PNG, JPEG or WebP files`,
  });
}

/** `life_by_Aitzol_Berasategi` -> the credit that its licence asks for. */
function creditOf(name: string): string {
  const [title = name, author = "unknown"] = name.replaceAll("_", " ").split(" by ");
  return `"${title}" by ${author}; licence: /usr/share/doc/${package_}/copyright`;
}

interface Sets {
  readonly train: string;
  readonly test: string;
  readonly count: number;
}

/** Copies of a moderate size: every fourth is for evaluation, the others for training. */
async function prepare(folder: string, files: readonly string[], output: string, context: Context): Promise<Sets> {
  const sets = { train: join(output, "pictures", "train"), test: join(output, "pictures", "test") };
  for (const set of Object.values(sets)) await mkdir(set, { recursive: true });
  const bar = context.progress("preparing images", files.length);
  let count = 0;
  try {
    for (const [index, name] of files.entries()) {
      if (context.signal.aborted) throw new FilterBasisError("interrupted", "stopped while preparing the images");
      const isTest = index % everyNth === everyNth - 1 || (index === files.length - 1 && count === 0);
      if (isTest) count++;
      const small = reduced(await decodeImage(join(folder, name), { colours: "srgb" }));
      const target = join(isTest ? sets.test : sets.train, `${name.replace(/\.\w+$/, "")}.png`);
      await writeAside(target, await encodeImage(small, "png"));
      bar.update(index + 1, name);
    }
  } finally {
    bar.stop();
  }
  return { ...sets, count };
}

/** RGB without alpha, at most `longestSide`, both sides multiples of the scale. */
function reduced(image: Image): Image {
  const { alpha: _, ...opaque } = toRgb(image);
  const factor = longestSide / Math.max(opaque.width, opaque.height);
  const small = factor < 1 ? imresize(opaque, factor) : opaque;
  return crop(small, 0, 0, small.width - (small.width % scale), small.height - (small.height % scale));
}

/** Distillation on patches of the images in a folder. */
function recipeFor(folder: string): object {
  return {
    name: "demo-images",
    calibrate: 8,
    data: { name: "pairs", folder, scale, batch: 8, patch: 64, stepsPerEpoch: 100 },
    loss: { task: "none", distill: { kind: "l1" } },
    optimizer: { name: "adam", lr: 5e-4 },
    schedule: { name: "cosine", per: "step", warmup: 0.2 },
  };
}

/** The size at which MACs are counted and time is taken: half a million pixels come out. */
function inputShapes(graph: Graph): Shapes {
  return new Map([[graph.inputs[0]!.name, [1, 3, 256, 512]]]);
}

async function judgeImages(
  files: readonly Written[],
  data: string,
  threads: Threads,
  context: Context,
): Promise<readonly Row[]> {
  const { rows, last } = await evaluateAll(files, { data, scale, shapes: inputShapes, ...threads }, context);
  return [{ label: "bicubic", ...last.bicubic }, ...rows];
}

/**
 * Draws the first of the evaluated images, and the piece of it where the original network gains most over bicubic. PSNR
 * is that image's.
 */
async function draw(files: readonly Written[], folder: string, file: string, threads: Threads) {
  const image = (await readdir(folder)).sort()[0]!;
  const name = image.replace(/\.png$/, "");
  const { hr, lr } = await loadPair({ name, hr: join(folder, image) }, scale);
  const made: (readonly [string, Image])[] = [["bicubic", imresize(lr, scale)]];
  for (const { label, file: model } of files) {
    const session = await openSession(model, threads);
    try {
      made.push([label, toImage(await superResolve(await describeSrModel(session, lr, { scale }), lr))]);
    } finally {
      await session.release();
    }
  }
  const truth = rgb(hr);
  const panels = made.map(
    ([label, one]): Panel => ({ caption: [label, `${psnr(one, hr, scale).toFixed(2)} dB`], image: rgb(one) }),
  );
  const piece = tellingPiece(truth, panels[0]!.image, panels[1]!.image, pieceSide);
  const whole = { caption: [name.replaceAll("_", " ")], image: truth };
  const figure = sideBySide(whole, [...panels, { caption: ["truth"], image: truth }], piece, 4);
  await writeAside(file, await encodeRaster({ ...figure, channels: 3 }, "png"));
  return { file, name };
}

function rgb(image: Image): RgbImage {
  const { width, height, data } = interleave(toRgb(image));
  return { width, height, data };
}

async function exists(file: string): Promise<boolean> {
  return await access(file).then(
    () => true,
    () => false,
  );
}
