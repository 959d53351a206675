// Both networks on one picture of the visitor's: outputs, how far they are apart, and milliseconds in turns.
import type { CalibratedResult } from "../../src/compress/compress-calibrated.js";
import type { Image } from "../../src/data/image.js";
import { imresize } from "../../src/data/imresize.js";
import { FilterBasisError } from "../../src/errors/error.js";
import { compareOutput } from "../../src/evaluate/loss.js";
import { modelFeeds } from "../../src/evaluate/model-feeds.js";
import { classAxis } from "../../src/evaluate/output-kind.js";
import type { TensorData } from "../../src/graph/types.js";
import { floats } from "../../src/graph/values.js";
import { alternate, type Feeds, openSession, type Session, timedRun } from "../../src/runtime/index.js";
import { pictures } from "../host/memory.js";
import { resized } from "../host/resize.js";
import type { ClassScore, Compared, Requests } from "../protocol.js";
import { differenceOf, imageOf, type Range, rangeOf } from "./output-pixels.js";
import { pictureData, readPicture, toPixels } from "./pictures.js";
import { known, type Tell } from "./state.js";
import { onlySharpens } from "./super-resolution.js";

const shown = "the picture that is compared";
/** Multiply-accumulates that one run on the picture may take where its size is free. */
const mostMacs = 8e9;

export async function compareOn({ picture }: Requests["compare"]["ask"], tell: Tell): Promise<Compared> {
  const { given } = known("network");
  const result = known("result");
  const bar = tell.progress("comparing", 2);
  const image = await readPicture(picture);
  const { feeds, input, seen } = await feedsOf(image);
  const sessions: Session[] = [];
  try {
    for (const file of [given.file, result.file]) sessions.push(await openSession(file));
    const [original, written] = sessions as [Session, Session];
    const outputs = [await original.run(feeds), await written.run(feeds)] as const;
    bar.update(1);
    const timing = { rounds: 5, warmup: 0, settle: 1, burst: 1, budget: 6000, patience: 6000 };
    const run = await timedRun(original, feeds, outputs[0]);
    const { medians } = await alternate([() => run(), () => run(written)], timing);
    bar.update(2);
    const name = result.compared.loss.output;
    const [a, b] = [outputs[0][name]!, outputs[1][name]!];
    return {
      ...summary(result, a, b),
      milliseconds: { original: medians[0]!, written: medians[1]! },
      input: toPixels(seen),
      ...picturesOf(a, b, rangeFor(result, a)),
      sample: { input: floats(feeds[input]!).slice(), dims: feeds[input]!.dims, output: floats(b).slice() },
    };
  } finally {
    for (const session of sessions) await session.release();
  }
}

/** The picture as the network takes it: as it is calibrated, and larger where sizes are free. */
async function feedsOf(image: Image): Promise<{ readonly feeds: Feeds; readonly input: string; readonly seen: Image }> {
  const { given, inputs } = known("network");
  const { data, job } = known("plan");
  const { scale, size: _, ...how } = data.all.how;
  const [, height = 0, width = 0] = data.all.dims;
  const declared = given.graph.inputs.find(({ name }) => name === data.all.input)?.tensor?.dims ?? [];
  const free = scale !== undefined && declared.slice(2).every((dim) => typeof dim !== "number");
  const sharpens = scale !== undefined && onlySharpens(given.graph, inputs.shapes, data.all.input);
  const factor = sharpens ? scale : 1;
  const size = free
    ? within(image, (mostMacs / Math.max(1, job.before.macs)) * height * width, factor)
    : { width, height };
  const small = resized(image, {
    width: size.width / factor,
    height: size.height / factor,
    fit: free ? "fill" : how.fit,
  });
  const seen = factor === 1 ? small : imresize(small, factor);
  pictures.set(shown, seen);
  try {
    const copies = Array.from({ length: data.all.each }, () => shown); // a network of a fixed batch takes as many
    const alone = pictureData(copies, { pairs: false });
    const fed = await modelFeeds(given.graph, alone, inputs, {
      ...how,
      size: { width: seen.width, height: seen.height },
    });
    return { feeds: await fed.at(0, 1), input: fed.input, seen: small };
  } finally {
    pictures.delete(shown);
  }
}

/** Of the picture's proportions, of so many pixels at most, sides that a scale divides. */
function within({ width, height }: Image, pixels: number, factor: number) {
  const scale = Math.min(1, Math.sqrt(pixels / (width * height)));
  const side = (own: number) => Math.max(16, Math.floor((own * scale) / factor) * factor);
  return { width: side(width), height: side(height) };
}

function summary({ compared }: CalibratedResult, a: TensorData, b: TensorData) {
  const { output, kind } = compared.loss;
  if (a.dims.join() !== b.dims.join())
    throw new FilterBasisError("data-mismatch", "the outputs have other sizes on this picture", { tensor: output });
  const comparison = compareOutput(output, kind === "decibels" ? "relative" : kind);
  comparison.add(a, b);
  const { loss, relative, correlation, psnr } = comparison.result();
  const classes = kind === "classes" ? { original: scoresOf(a), written: scoresOf(b) } : undefined;
  return {
    ...{ kind, loss: loss.mean, relative: relative.mean, correlation, psnr },
    ...(classes?.original && classes.written
      ? { classes: { original: classes.original, written: classes.written } }
      : {}),
  };
}

/** A network's picture is on the scale of its input; of others the values tell. */
function rangeFor({ compared }: CalibratedResult, a: TensorData): Range {
  if (compared.loss.kind === "mask") return [0, 1];
  return compared.loss.kind === "decibels" ? [0, known("plan").data.all.how.range] : rangeOf(a);
}

function picturesOf(a: TensorData, b: TensorData, range: Range) {
  const [original, written] = [imageOf(a, range), imageOf(b, range)];
  if (original === undefined || written === undefined) return {};
  return {
    original: toPixels(original),
    written: toPixels(written),
    difference: toPixels(differenceOf(original, written)),
  };
}

const listed = 5;

/** The largest classes of one vector of scores, as probabilities; undefined for maps of classes. */
function scoresOf(tensor: TensorData): readonly ClassScore[] | undefined {
  const axis = classAxis(tensor);
  const values = floats(tensor);
  if (axis < 0 || values.length !== tensor.dims[axis]) return undefined;
  const most = values.reduce((largest, value) => Math.max(largest, value), Number.NEGATIVE_INFINITY);
  const sum = values.reduce((total, value) => total + value, 0);
  const already = Math.abs(sum - 1) < 1e-2 && values.every((value) => value >= 0);
  const scores = already ? [...values] : softmax(values, most);
  return scores
    .map((score, index) => ({ index, score }))
    .sort((x, y) => y.score - x.score)
    .slice(0, listed);
}

function softmax(values: Float32Array, most: number): number[] {
  const raised = Array.from(values, (value) => Math.exp(value - most));
  const sum = raised.reduce((total, value) => total + value, 0);
  return raised.map((value) => value / sum);
}
