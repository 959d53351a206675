// Data as inputs of any network: which input the data goes into, in what layout, size and units, by what the model
// states (its metadata and fixed axes) and what the user does; what had to be guessed is told.

import type { Batch } from "../data/batches.js";
import type { Data } from "../data/dataset.js";
import type { Channels, InputOptions, Inputs } from "../data/inputs.js";
import { FilterBasisError } from "../errors/error.js";
import { elements } from "../graph/attributes.js";
import type { Graph } from "../graph/types.js";
import { isFloat, tensorOf } from "../graph/values.js";
import type { Feeds, ModelInputs } from "../runtime/index.js";
import { type Conventions, conventionKeys } from "./conventions.js";
import { inputBatch } from "./input-batch.js";
import { isWhole, namedInputs } from "./named-inputs.js";
import { otherInputs } from "./other-inputs.js";
import { isFree, type Placement, pixelsOf, placementOf, rangeOf } from "./placement.js";
import { type SrFeeds, srFeeds } from "./sr-feeds.js";
import type { Truth } from "./truths.js";

export interface ModelFeeds {
  /**
   * Inputs that the network takes one after the other, or several at once where its batch is free: groups of `each`.
   */
  readonly count: number;
  /** Inputs of the data in each of them: those that the network's batch is fixed at. */
  readonly each: number;
  /** How many of them make a batch. */
  readonly batch: number;
  /** Whether they go in one by one, whatever a caller would like: the batch is fixed, or an input is of one alone. */
  readonly oneByOne: boolean;
  /** The network's input that the data goes into. */
  readonly input: string;
  /** The sizes of one input of the data in the network, without the batch. */
  readonly dims: readonly number[];
  /** The sizes of all inputs, at the batch at which the network was tried. */
  readonly shapes: ModelInputs["shapes"];
  /** How images become inputs: to be printed, and to be written into the model's metadata. */
  readonly how: Conventions;
  /** Super-resolution: how images are reduced before they go in. */
  readonly lowResolution?: { readonly scale: number; readonly enlarge: boolean };
  /** Whether the data is images; numbers go in as they are, whatever `how` says. */
  readonly images: boolean;
  /** What of it was guessed, for people. */
  readonly guessed: readonly string[];
  /** Files that could not be used. */
  readonly skipped: Inputs["skipped"];
  /** The feeds of a batch, from 0 to `batches - 1`: the data, and the values of all other inputs. */
  readonly batches: number;
  feeds(index: number): Promise<Feeds>;
  /** The feeds of `first` to `first + count - 1` together; of more than one for networks whose batch is free. */
  at(first: number, count: number): Promise<Feeds>;
  /** Some of them as feeds of their own. */
  part(first: number, count: number): ModelFeeds;
  /**
   * What is right for input `index` of the data; absent where the data has neither labels nor images for
   * super-resolution.
   */
  truth?(index: number): Promise<Truth>;
}

export interface FeedOptions extends InputOptions {
  /** The input that the data goes into, where several could be meant. */
  readonly input?: string;
  /** Inputs that another network takes at once that is to be fed beside this one. */
  readonly fixed?: number;
}

/** Images of an input larger than this go in one by one. */
const largePixels = 1e5;

/**
 * Opens data for a network.
 * @param inputs - sizes and values at which the network runs (`findInputs`)
 * @throws FilterBasisError `data-mismatch` (no input takes images or arrays of that shape), `usage`; what opening data
 * throws
 * @example
 * ```ts
 * import { findInputs, loadModel, modelFeeds, openData, openSession } from "filterbasis";
 *
 * const model = await loadModel("model.onnx");
 * const feeds = await modelFeeds(model, await openData("photos"), await findInputs(model), { normalize: "imagenet" });
 * const session = await openSession(model);
 * for (let i = 0; i < feeds.batches; i++) console.log(Object.keys(await session.run(await feeds.feeds(i))));
 * await session.release();
 * ```
 */
export async function modelFeeds(
  graph: Graph,
  data: Data,
  inputs: ModelInputs,
  { input, fixed: beside, ...stated }: FeedOptions = {},
): Promise<ModelFeeds> {
  const named = namedInputs(graph, data, inputs, { ...stated, ...(input === undefined ? {} : { input }) });
  const placement = placementOf(graph, inputs, input ?? named?.primary);
  const sr = await srFeeds(graph, data, { ...placement, free: isFree(placement, inputs) }, inputs, stated);
  const { how, guessed } = guessConventions(graph, placement, inputs, { ...stated, ...(sr && { sr }) });
  const { fixed = beside, along } = inputBatch(graph, placement.name, inputs.shapes);
  const own = named?.arrays.get(placement.name);
  const together = own !== undefined && isWhole(own.dims, placement.dims) ? 1 : (fixed ?? 1);
  const chosen = named && { array: named.primary, fed: [...named.arrays.keys()], together };
  const loaded = await data.inputs({
    ...{ ...stated, ...usable(stated, how, placement), ...degraded(sr), ...chosen, batch: 1 },
  });
  const truth = truthsOf(loaded, how);
  const layout = checkDims(graph, loaded, placement, data);
  const each = layout === "whole" ? 1 : together;
  const primary = { name: placement.name, each, whole: layout === "whole", dims: turned(loaded.dims, layout) };
  const others = otherInputs(graph, inputs, { primary, along, ...(named && { named, file: data.name }), ...stated });
  const at = async (first: number, count: number): Promise<Feeds> => {
    const parts: Batch[] = [];
    for (let i = first * each; i < (first + count) * each; i++) parts.push(copyOf(await loaded.batch(0, i)));
    const dims = layout === "whole" ? loaded.dims : [count * each, ...loaded.dims];
    return { ...others.at(first, count), [placement.name]: placed(joined(parts), dims, placement, layout) };
  };
  const oneByOne = fixed !== undefined || layout === "whole" || others.alone;
  const usual = stated.batch ?? (pixelsOf(placement, stated) > largePixels ? 1 : 16);
  const batch = oneByOne ? 1 : usual;
  const { shapes } = others;
  const some = (from: number, count: number): ModelFeeds => ({
    ...{ count, each, batch, oneByOne, input: placement.name, how, batches: Math.ceil(count / batch), shapes },
    ...(loaded.asIs ? { images: false, guessed: [] } : { images: true, guessed }),
    ...(sr && { lowResolution: { scale: sr.scale, enlarge: sr.enlarged } }),
    dims: primary.whole ? loaded.dims.slice(1) : primary.dims,
    skipped: loaded.skipped,
    feeds: (index) => at(from + index * batch, Math.min(batch, count - index * batch)),
    at: (first, wanted) => at(from + first, wanted),
    part: (first, wanted) => some(from + first, Math.min(wanted, count - first)),
    ...(truth && { truth: (index: number) => truth(from * each + index) }),
  });
  const count = Math.floor(loaded.count / each);
  if (count === 0) throw tooFew(data, loaded.count, each);
  return some(0, count);
}

/** Low-resolution images in place of the data's own, enlarged again for a network that only sharpens. */
function degraded(sr: SrFeeds | undefined): InputOptions {
  if (sr === undefined) return {};
  const { scale, enlarged, size } = sr;
  if (!enlarged) return { scale, size };
  return { scale, enlarge: scale, size: { width: size.width / scale, height: size.height / scale } };
}

/** What is right for each input: the image it was made from, else its label; undefined where there is neither. */
function truthsOf(loaded: Inputs, { scale, range, channels }: Conventions): ModelFeeds["truth"] {
  const { truth, classes } = loaded;
  if (truth !== undefined && scale !== undefined)
    return async (index) => ({ kind: "image", image: await truth(index), scale, range, bgr: channels === "bgr" });
  if (truth !== undefined || loaded.labelled !== true) return undefined;
  return async (index) => {
    const { target } = await loaded.batch(0, index);
    return { kind: "class", label: Number(target![0]), classes };
  };
}

/** A batch's arrays may be used again for the next. */
const copyOf = (batch: Batch): Batch => ({ ...batch, input: batch.input.slice() });

function joined(parts: readonly Batch[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, { input }) => sum + input.length, 0));
  let at = 0;
  for (const { input } of parts) {
    out.set(input, at);
    at += input.length;
  }
  return out;
}

const tooFew = ({ name }: Data, got: number, batch: number) =>
  new FilterBasisError("data-mismatch", "there are fewer inputs than the model takes at once", {
    file: name,
    expected: `at least ${batch}`,
    got: String(got),
  });

function guessConventions(
  graph: Graph,
  placement: Placement,
  inputs: ModelInputs,
  { sr, ...stated }: InputOptions & { readonly sr?: SrFeeds },
) {
  const told = (key: keyof typeof conventionKeys) => graph.metadata.get(conventionKeys[key]);
  const guessed: string[] = [];
  const guess = <T>(what: string, value: T): T => {
    guessed.push(`${what} ${String(value)}`);
    return value;
  };
  const { dims, channelsLast, channels } = placement;
  const [height = 0, width = 0] = channelsLast ? dims.slice(1, 3) : dims.slice(2, 4);
  const isImage = dims.length === 4 && (channels === 1 || channels === 3);
  const size = sr?.size ?? stated.size ?? { width, height };
  if (isImage && isFree(placement, inputs) && stated.size === undefined) guess("size", `${size.width}x${size.height}`);
  if (sr?.guessed && told("scale") === undefined) guess("scale", sr.scale);
  const how: Conventions = {
    size,
    fit: stated.fit ?? (told("fit") as Conventions["fit"] | undefined) ?? "fill",
    normalize: stated.normalize ?? told("normalize") ?? (isImage ? guess("normalize", "none") : "none"),
    channels:
      stated.channels ??
      (told("channels") as Channels | undefined) ??
      (isImage && channels === 1 ? guess("channels", "luma") : "rgb"),
    range:
      stated.range ??
      ({ "1": 1, "255": 255 } as const)[told("range") ?? ""] ??
      (isImage ? guess("range", sr?.range ?? rangeOf(placement)) : 1),
    ...(sr && { scale: sr.scale }),
  };
  return { how, guessed };
}

/** What is said of images means nothing to arrays of floats; `inputs` says so where a user said it. */
function usable(stated: InputOptions, how: Conventions, { dims, channels }: Placement): InputOptions {
  return dims.length === 4 && (channels === 1 || channels === 3) ? { ...how } : { ...stated, asNumbers: true };
}

/**
 * Whether data lies as the network takes it, has its channels in front where the network has them at the end, or holds
 * a whole input, with its first axis, for each example.
 */
type DataLayout = "as it is" | "to be turned" | "whole";

/** The sizes of one input as the network has them. */
const turned = (dims: readonly number[], layout: DataLayout): readonly number[] =>
  layout === "to be turned" ? [...dims.slice(1), dims[0]!] : dims;

function checkDims(graph: Graph, { dims }: Inputs, placement: Placement, { name: file }: Data): DataLayout {
  const { name, dims: wanted, channelsLast, channels } = placement;
  const declared = graph.inputs.find((value) => value.name === name)?.tensor?.dims ?? [];
  // sides may be others than those at which the network was tried, where its file leaves them free
  const side = (axis: number) =>
    typeof declared[axis] !== "number" && (wanted.length !== 4 || axis !== (channelsLast ? 3 : 1));
  const fits = (given: readonly number[]) =>
    given.length === wanted.length - 1 && given.every((dim, at) => dim === wanted[at + 1] || side(at + 1));
  if (dims.length === wanted.length && dims.every((dim, at) => dim === wanted[at] || typeof declared[at] !== "number"))
    return "whole";
  const layouts: readonly (readonly [DataLayout, readonly number[]])[] = [
    ["as it is", dims],
    ...(channelsLast && dims[0] === channels ? [["to be turned", [...dims.slice(1), dims[0]]] as const] : []),
  ];
  const found =
    layouts.find(([, given]) => given.join() === wanted.slice(1).join()) ??
    layouts.findLast(([, given]) => fits(given));
  if (found !== undefined) return found[0];
  throw new FilterBasisError("data-mismatch", "the data does not fit the model's input", {
    file,
    tensor: name,
    expected: `[N, ${wanted.slice(1).join(", ")}]`,
    got: `[N, ${dims.join(", ")}]`,
    cures: ["state the image's size: --size WxH", "state the model's sizes: --input", "name the input: --data-input"],
  });
}

/** Inputs [N, ...] as the network takes them, in its type. */
function placed(values: Float32Array, dims: readonly number[], { type }: Placement, layout: DataLayout) {
  const own = layout === "to be turned" ? channelsToEnd(values, dims) : { values: values.slice(), dims };
  const to = type?.type ?? "float32";
  return tensorOf(to, own.dims, isFloat(to) ? own.values : own.values.map(Math.round));
}

function channelsToEnd(values: Float32Array, dims: readonly number[]) {
  const [n, c, h, w] = dims as [number, number, number, number];
  const out = new Float32Array(elements(dims));
  const plane = h * w;
  for (let image = 0; image < n; image++)
    for (let channel = 0; channel < c; channel++)
      for (let at = 0; at < plane; at++)
        out[(image * plane + at) * c + channel] = values[(image * c + channel) * plane + at]!;
  return { values: out, dims: [n, h, w, c] };
}
