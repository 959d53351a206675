// The report's super-resolved pieces: test pictures of the run as bicubic enlargement and its models make them, beside
// the truth.
import { encodeImage, interleave, type Raster } from "../data/codec.js";
import { crop, type Image, toRgb } from "../data/image.js";
import { imresize } from "../data/imresize.js";
import { loadPair, type Pair } from "../data/load-pair.js";
import { findPairs, type PairFiles } from "../data/sr-pairs.js";
import { FilterBasisError } from "../errors/error.js";
import { psnr } from "../evaluate/psnr.js";
import { receptiveField } from "../evaluate/receptive-field.js";
import { describeSrModel } from "../evaluate/sr-model.js";
import { upscale } from "../evaluate/upscale.js";
import type { Graph } from "../graph/types.js";
import { tellingPiece } from "../report/figure.js";
import type { Crops, RunReport } from "../report/page.js";
import { openSession } from "../runtime/index.js";
import type { Recipe } from "../train/recipe.js";
import type { Context } from "./frame.js";
import type { RunContents, RunModels } from "./report-run.js";

/** Test pictures shown, in the order of their names. */
const shown = 2;
/** Side of a piece, and width of the whole picture, in pixels. */
const [pieceSide, wholeWidth] = [72, 300];

/**
 * The report with pieces of the run's test pictures; as it was where there are none. Says why where they cannot be made
 * any more.
 */
export async function withCrops({ report, models, recipe }: RunContents, context: Context): Promise<RunReport> {
  if (recipe?.data.name !== "pairs" || recipe.data.test === undefined || models.last === undefined) return report;
  try {
    const { pairs } = await findPairs(recipe.data.test, recipe.data.scale ?? 2);
    return { ...report, crops: await allCrops(pairs.slice(0, shown), named(models), recipe, context) };
  } catch (error) {
    if (!(error instanceof FilterBasisError) || error.code === "interrupted" || error.code === "runtime-missing")
      throw error;
    context.note(`no pictures in the report: ${error.message}`);
    return report;
  }
}

type Named = readonly (readonly [name: string, graph: Graph])[];

/** The models worth showing: without a compression the first one is untrained. */
function named({ original, start, last }: RunModels): Named {
  const [before, compressed]: (readonly [string, Graph | undefined])[] = [
    ["before", start && original],
    ["compressed", start],
  ] as const;
  return [before, compressed, ["trained", last] as const].filter(
    (one): one is [string, Graph] => one?.[1] !== undefined,
  );
}

async function allCrops(
  files: readonly PairFiles[],
  models: Named,
  recipe: Recipe,
  context: Context,
): Promise<Crops[]> {
  const bar = context.progress("drawing pictures", files.length * models.length);
  try {
    const scale = recipe.data.scale ?? 2;
    const pairs: Pair[] = [];
    for (const file of files) pairs.push(await loadPair(file, scale));
    const made = pairs.map(({ lr }): [string, Image][] => [["bicubic", imresize(lr, scale)]]);
    let done = 0;
    for (const [name, graph] of models) {
      const session = await openSession(graph, { arena: false });
      try {
        for (const [index, { lr }] of pairs.entries()) {
          const sr = await describeSrModel(session, lr, { scale, range: recipe.data.range ?? toldRange(graph) });
          const { raster } = await upscale(sr, lr, receptiveField(graph), { signal: context.signal });
          made[index]?.push([name, planar(raster)]);
          bar.update(++done);
        }
      } finally {
        await session.release();
      }
    }
    return await Promise.all(pairs.map((pair, index) => cropsOf(pair, made[index] ?? [], scale)));
  } finally {
    bar.stop();
  }
}

/**
 * The piece is where the first of the models gains most over bicubic. PSNR is of the whole picture, luma, `scale`
 * pixels shaved off.
 */
async function cropsOf({ name, hr }: Pair, made: readonly (readonly [string, Image])[], scale: number): Promise<Crops> {
  const opaque = ({ width, height, channels, data }: Image): Image => toRgb({ width, height, channels, data });
  const truth = opaque(hr);
  const pictures = made.map(([label, picture]) => [label, opaque(picture)] as const);
  const [bicubic, first] = pictures;
  const { x, y, size } = tellingPiece(interleave(truth), interleave(bicubic![1]), interleave(first![1]), pieceSide);
  const panel = async (label: string, picture: Image, decibels?: number) => ({
    label,
    url: await dataUrl(crop(picture, x, y, size, size), "png"),
    ...(decibels !== undefined && Number.isFinite(decibels) ? { psnr: decibels } : {}),
  });
  const percent = (part: number, whole: number) => (100 * part) / whole;
  return {
    picture: name.replaceAll("_", " "),
    whole: await dataUrl(imresize(truth, Math.min(1, wholeWidth / truth.width)), "jpeg"),
    piece: {
      left: percent(x, truth.width),
      top: percent(y, truth.height),
      width: percent(size, truth.width),
      height: percent(size, truth.height),
    },
    panels: await Promise.all([
      panel("truth", truth),
      ...pictures.map(([label, picture]) => panel(label, picture, psnr(picture, truth, scale))),
    ]),
  };
}

const toldRange = ({ metadata }: Graph): 1 | 255 | "auto" => {
  const told = Number(metadata.get("filterbasis.range"));
  return told === 1 || told === 255 ? told : "auto";
};

/** Planes out of a raster, without its transparency. */
function planar({ width, height, channels: stored, data }: Raster): Image {
  const [channels, size] = [stored < 3 ? 1 : 3, width * height] as const;
  const planes = new Uint8Array(channels * size);
  for (let i = 0; i < size; i++) for (let c = 0; c < channels; c++) planes[c * size + i] = data[i * stored + c]!;
  return { width, height, channels, data: planes };
}

async function dataUrl(picture: Image, format: "png" | "jpeg"): Promise<string> {
  const bytes = await encodeImage(picture, format);
  return `data:image/${format};base64,${Buffer.from(bytes).toString("base64")}`;
}
