// How a super-resolution network is fed from data: images are degraded by bicubic, so that they are the truth of what
// the network makes of them. What nobody states is found by running the network on one image.
import type { Data } from "../data/dataset.js";
import type { Image } from "../data/image.js";
import type { InputOptions } from "../data/inputs.js";
import { loadPair } from "../data/load-pair.js";
import { isError } from "../errors/error.js";
import type { Graph } from "../graph/types.js";
import { inferShapes } from "../ops/infer.js";
import { type ModelInputs, openSession } from "../runtime/index.js";
import { type Conventions, conventionKeys } from "./conventions.js";
import { describeSrModel } from "./sr-model.js";

export interface SrFeeds {
  readonly scale: number;
  /** The network only sharpens: what goes in is enlarged first. */
  readonly enlarged: boolean;
  readonly range: 1 | 255;
  /** Of the network's input. */
  readonly size: Conventions["size"];
  /** Whether nobody stated the scale. */
  readonly guessed: boolean;
}

/** The input that images go into. */
interface ImageInput {
  readonly name: string;
  /** [N, C, H, W] at which the network is run. */
  readonly dims: readonly number[];
  /** Whether the file leaves height and width free. */
  readonly free: boolean;
}

const scales: readonly number[] = [2, 3, 4];

/**
 * How images go into a super-resolution network; undefined for any other network, and for data that is no images. A
 * scale is what is stated, what the model's metadata says, or by how much the output is larger than the input.
 * @throws FilterBasisError `data-mismatch` where a scale is stated that the network has not
 */
export async function srFeeds(
  graph: Graph,
  data: Data,
  input: ImageInput,
  { shapes }: Pick<ModelInputs, "shapes">,
  stated: Pick<InputOptions, "scale" | "size" | "range" | "part" | "note">,
): Promise<SrFeeds | undefined> {
  const told = Number(graph.metadata.get(conventionKeys.scale));
  const factor = enlargement(graph, input, shapes);
  const likely = scales.includes(told) ? told : factor !== undefined && scales.includes(factor) ? factor : undefined;
  const scale = stated.scale ?? likely;
  if (data.pairs === undefined) return undefined;
  if (scale === undefined) {
    if (factor === 1 && addsToInput(graph, input)) stated.note?.(sharpens);
    return undefined;
  }
  try {
    return { ...(await described(graph, data, input, scale, stated)), guessed: stated.scale === undefined };
  } catch (error) {
    // What only looks like one is fed as any network is.
    if (stated.scale === undefined && isError(error, "data-mismatch", "not-found", "runtime-missing")) return undefined;
    throw error;
  }
}

async function described(
  graph: Graph,
  data: Data,
  { dims, free }: ImageInput,
  scale: number,
  stated: Pick<InputOptions, "size" | "range" | "part">,
): Promise<Omit<SrFeeds, "guessed">> {
  const lr = await firstImage(data, scale, stated);
  const told = { "1": 1, "255": 255 } as const;
  const range = stated.range ?? told[graph.metadata.get(conventionKeys.range) as "1" | "255"] ?? "auto";
  const session = await openSession(graph, { arena: false });
  try {
    const { enlarged, range: found } = await describeSrModel(session, lr, { scale, range });
    const unit = enlarged ? scale : 1;
    // Free sizes are the data's: a square that lies in images upright and across.
    const side = unit * Math.min(lr.width, lr.height);
    const [height = side, width = side] = dims.slice(2);
    const size = free
      ? { width: cut(Math.min(width, side), unit), height: cut(Math.min(height, side), unit) }
      : { width, height };
    return { scale, enlarged, range: found, size: stated.size ?? size };
  } finally {
    await session.release();
  }
}

const cut = (side: number, unit: number): number => side - (side % unit);

async function firstImage(data: Data, scale: number, { part }: Pick<InputOptions, "part">): Promise<Image> {
  const { pairs } = await data.pairs!(scale, part === "test" ? "valid" : "train");
  for (const [i, pair] of pairs.entries()) {
    const loaded = await loadPair(pair, scale).catch((error: unknown) => {
      if (!isError(error) || i === pairs.length - 1) throw error;
      return undefined;
    });
    if (loaded !== undefined) return loaded.lr;
  }
  throw new Error("a set of pairs has at least one"); // `findPairs` says so itself
}

const sharpens =
  "the network corrects the image that it is given: if that is one which was enlarged, say by how much, as --scale 2";

/** Whether the output is a sum with the image itself: what networks do that remove noise, or blur. */
const addsToInput = ({ nodes, outputs }: Graph, { name }: ImageInput): boolean =>
  nodes.some(
    ({ op, inputs, outputs: made }) => op === "Add" && inputs.includes(name) && made.includes(outputs[0]?.name ?? ""),
  );

/** Output side over input side where images become images of as many channels. */
function enlargement(graph: Graph, { name, dims }: ImageInput, shapes: ModelInputs["shapes"]): number | undefined {
  const [, channels, height = 0, width = 0] = dims;
  if (dims.length !== 4 || (channels !== 1 && channels !== 3) || !shapes.has(name)) return undefined;
  try {
    const made = inferShapes(graph, shapes).get(graph.outputs[0]?.name ?? "")?.dims;
    const [, own, high, wide] = made ?? [];
    if (made?.length !== 4 || own !== channels || typeof high !== "number" || typeof wide !== "number")
      return undefined;
    return high / height === wide / width ? high / height : undefined;
  } catch (error) {
    if (isError(error)) return undefined;
    throw error;
  }
}
