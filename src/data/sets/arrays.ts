// Arrays as data: .npy, .npz and .safetensors. Whole numbers of 8 bits are images; floats go into the network as they
// are.
import { extname } from "node:path";
import { FilterBasisError } from "../../errors/error.js";
import { readNpy, readNpz } from "../../formats/npy.js";
import { readSafetensors } from "../../formats/safetensors.js";
import { elements } from "../../graph/attributes.js";
import type { TensorData } from "../../graph/types.js";
import { floats, isFloat, numbers } from "../../graph/values.js";
import { fileSize, readShared } from "../cache.js";
import { resizeImage } from "../codec.js";
import { type Data, type Dataset, refuseOptions } from "../dataset.js";
import { type Image, toRgb } from "../image.js";
import type { ImageData, ImageSet } from "../image-set.js";
import { type Candidate, type InputOptions, type Inputs, inBatches, inputsOf, sampleOrder } from "../inputs.js";

type Arrays = ReadonlyMap<string, TensorData>;
type Part = "train" | "test";

/** Files beyond this do not fit in memory together with what is made of them. */
const largestFile = 4 * 2 ** 30;
/** Names that arrays of inputs usually have; those of one part end in it (x_train). */
const usualInputs = ["x", "images", "image", "input", "inputs", "data"];
const usualLabels = ["y", "labels", "label", "target", "targets", "classes"];
/** More classes than any classifier tells apart. */
const mostClasses = 1 << 16;

const readers: Readonly<Record<string, (bytes: Uint8Array, file: string) => Arrays | Promise<Arrays>>> = {
  ".npy": (bytes, file) => new Map([["array", readNpy(bytes, { file })]]),
  ".npz": (bytes, file) => readNpz(bytes, { file }),
  ".safetensors": (bytes, file) => readSafetensors(bytes, { file }).tensors,
};
const readerOf = (path: string) => readers[extname(path).toLowerCase()];

export const arrays: Dataset = {
  name: "arrays",
  summary:
    "arrays in a .npy, .npz or .safetensors file ([N, ...]; x and y, or x_train and y_train beside x_test and y_test)",
  holds: async (path) => readerOf(path) !== undefined && (await fileSize(path)) !== undefined,
  async open({ path = "." }) {
    const size = (await fileSize(path)) ?? 0;
    if (size > largestFile) {
      throw new FilterBasisError("too-large", "the file of arrays is too large", {
        file: path,
        expected: `at most ${largestFile} bytes`,
        got: `${size}`,
      });
    }
    return arrayData(path, await readerOf(path)!(await readShared(path), path));
  },
};

function arrayData(path: string, found: Arrays): Data {
  const parts: readonly Part[] = ["train", "test"];
  const split = parts.some((part) => named(found, usualInputs, part) !== undefined);
  const hasLabels = parts.some((part) => named(found, usualLabels, part)) || named(found, usualLabels) !== undefined;
  const labels = new Set([...found.keys()].filter((name) => usualLabels.includes(name.toLowerCase())));
  const byInput = !split && extname(path).toLowerCase() !== ".npy";
  return {
    name: path,
    ...(byInput && { arrays: { byName: found, labels } }),
    ...(hasLabels && {
      async labelled(): Promise<ImageData> {
        if (!split) return { test: imageSet(path, found, {}) };
        const present = parts.filter((part) => named(found, usualInputs, part) !== undefined);
        return Object.fromEntries(present.map((part) => [part, imageSet(path, found, { part })]));
      },
    }),
    async inputs(options = {}) {
      refuseOptions(path, options, ["scale"]);
      const part = split && options.part === undefined ? "train" : options.part;
      return arrayInputs(path, found, part === undefined ? options : { ...options, part });
    },
  };
}

async function arrayInputs(path: string, found: Arrays, options: InputOptions): Promise<Inputs> {
  const [name, array] = inputArray(path, found, options);
  const labels = labelsFor(path, found, options, array);
  const layout = options.asNumbers ? undefined : layoutOf(array);
  return layout === undefined
    ? floatInputs(path, [name, array], labels, options)
    : inputsOf(path, imageCandidates(path, array, layout, labels), options);
}

function imageCandidates(
  path: string,
  array: TensorData,
  layout: Layout,
  labels: Int32Array | undefined,
): readonly Candidate[] {
  return Array.from({ length: array.dims[0]! }, (_, n) => ({
    file: `${path}, image ${n}`,
    ...(labels && { label: labels[n]! }),
    async load(sizing) {
      const image = imageAt(array, layout, n);
      return sizing === undefined ? image : await resizeImage(image, sizing);
    },
  }));
}

/** Numbers that go into the network as they are. */
function floatInputs(
  path: string,
  [name, array]: readonly [string, TensorData],
  labels: Int32Array | undefined,
  options: InputOptions,
): Inputs {
  const { note = () => undefined, size, limit = Number.POSITIVE_INFINITY } = options;
  const useless = (["normalize", "channels", "range"] as const).filter((option) => options[option] !== undefined);
  if (useless.length > 0)
    note(`${path}: ${name} holds ${array.type}, which goes in as it is: ${useless.join(", ")} not applied`);
  const [count = 0, ...dims] = array.dims;
  const sides = size && [size.height, size.width].join();
  // images lie with their channels in front, or at the end
  if (size !== undefined && dims.slice(-2).join() !== sides && dims.slice(-3, -1).join() !== sides) {
    throw new FilterBasisError("data-mismatch", "the array has another size than is asked for", {
      file: path,
      tensor: name,
      expected: `[N, ..., ${size.height}, ${size.width}]`,
      got: `[${array.dims.join(", ")}]`,
    });
  }
  const values = finite(path, name, floats(array));
  const sample = sampleOrder(count, options).subarray(0, Math.min(limit, count));
  const each = elements(dims);
  const batches = inBatches(sample.length, dims, options, (indices, out) => {
    for (const [n, index] of indices.entries()) {
      const from = sample[index]! * each;
      out.set(values.subarray(from, from + each), n * each);
    }
    return labels === undefined ? null : BigInt64Array.from(indices, (index) => BigInt(labels[sample[index]!]!));
  });
  return { skipped: [], asIs: true, labelled: labels !== undefined, ...batches };
}

/**
 * The array that is asked for, the only one that can be meant, or the one with a usual name.
 * @throws FilterBasisError `usage`, `not-found`
 */
function inputArray(
  path: string,
  found: Arrays,
  { array, part }: InputOptions,
): readonly [name: string, array: TensorData] {
  const all = [...found].filter(([, { dims, type }]) => dims.length >= 2 && type !== "string");
  const wanted =
    array ??
    named(found, usualInputs, part) ??
    named(found, usualInputs) ??
    (all.length === 1 ? all[0]![0] : undefined);
  const one = all.find(([name]) => name === wanted);
  if (one !== undefined && one[1].dims[0]! > 0) return one;
  const got = [...found].map(([name, { type, dims }]) => `${name} ${type} [${dims.join(", ")}]`).join("; ");
  throw new FilterBasisError(array === undefined ? "usage" : "not-found", "it is not clear which array is the input", {
    file: path,
    expected: array ?? `one array [N, ...], or one of the names ${usualInputs.join(", ")}`,
    got: got || "no arrays",
  });
}

/** The name of the first array that has one of the usual names (those of a part: x_train). */
function named(found: Arrays, usual: readonly string[], part?: Part): string | undefined {
  const names = new Map([...found.keys()].map((name) => [name.toLowerCase(), name]));
  return usual
    .map((name) => names.get(part === undefined ? name : `${name}_${part}`))
    .find((name) => name !== undefined);
}

/**
 * The labels that belong to the inputs, or undefined.
 * @throws FilterBasisError `data-mismatch`
 */
function labelsFor(
  path: string,
  all: Arrays,
  { part, fed = [] }: InputOptions,
  inputs: TensorData,
): Int32Array | undefined {
  const found = new Map([...all].filter(([name]) => !fed.includes(name)));
  const name = (part && named(found, usualLabels, part)) ?? named(found, usualLabels);
  const array = name === undefined ? undefined : found.get(name)!;
  if (name === undefined || array === undefined) return undefined;
  const count = inputs.dims[0]!;
  const fail = (expected: string, got: string): never => {
    throw new FilterBasisError("data-mismatch", "the labels do not fit the inputs", {
      file: path,
      tensor: name,
      expected,
      got,
    });
  };
  if (elements(array.dims) !== count || array.dims[0] !== count || isFloat(array.type))
    return fail(`${count} whole numbers`, `${array.type} [${array.dims.join(", ")}]`);
  const labels = numbers(array);
  const wrong = labels.find((label) => label < 0 || label >= mostClasses);
  return wrong === undefined ? Int32Array.from(labels) : fail(`classes from 0 to ${mostClasses - 1}`, String(wrong));
}

/** How 8-bit images lie in an array. */
interface Layout {
  readonly height: number;
  readonly width: number;
  readonly channels: 1 | 3;
  /** [N, H, W, C] instead of [N, C, H, W]. */
  readonly last: boolean;
}

/** [N, H, W], or four dimensions with 1 or 3 channels; undefined for arrays that are no images. */
function layoutOf({ type, dims }: TensorData): Layout | undefined {
  const colours = (dim: number | undefined): dim is 1 | 3 => dim === 1 || dim === 3;
  const [, a = 0, b = 0, c = 0] = dims;
  if (type !== "uint8" || elements(dims) === 0) return undefined;
  if (dims.length === 3) return { height: a, width: b, channels: 1, last: false };
  if (dims.length !== 4) return undefined;
  if (colours(a)) return { height: b, width: c, channels: a, last: false };
  return colours(c) ? { height: a, width: b, channels: c, last: true } : undefined;
}

function imageAt({ data }: TensorData, { height, width, channels, last }: Layout, n: number): Image {
  const plane = height * width;
  const own = data.subarray(n * channels * plane, (n + 1) * channels * plane);
  if (!last) return { width, height, channels, data: own };
  return {
    width,
    height,
    channels,
    data: Uint8Array.from(own, (_, i) => own[(i % plane) * channels + Math.floor(i / plane)]!),
  };
}

/**
 * The labelled images of a part, or of the whole file.
 * @throws FilterBasisError `data-mismatch`, `too-large`
 */
function imageSet(path: string, found: Arrays, options: InputOptions): ImageSet {
  const [name, array] = inputArray(path, found, options);
  const layout = layoutOf(array);
  const labels = labelsFor(path, found, options, array);
  if (layout === undefined || labels === undefined) {
    throw new FilterBasisError("data-mismatch", "the file holds no 8-bit images with labels", {
      file: path,
      tensor: name,
      expected: "uint8 [N, H, W], [N, 3, H, W] or [N, H, W, 3], and N whole numbers named y",
      got: `${array.type} [${array.dims.join(", ")}]${labels === undefined ? " without labels" : ""}`,
    });
  }
  const { height, width } = layout;
  const [count, bytes] = [array.dims[0]!, 3 * height * width];
  if (count * bytes > largestFile)
    throw new FilterBasisError("too-large", "the images do not fit in memory", {
      file: path,
      got: `${count} x ${width} x ${height}`,
    });
  const images = new Uint8Array(new SharedArrayBuffer(count * bytes));
  for (let n = 0; n < count; n++) images.set(toRgb(imageAt(array, layout, n)).data, n * bytes);
  const classes = Array.from({ length: labels.reduce((most, label) => Math.max(most, label), 0) + 1 }, (_, i) =>
    String(i),
  );
  return { name: path, images, labels, classes, count, height, width };
}

function finite(path: string, name: string, values: Float32Array): Float32Array {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return values;
  throw new FilterBasisError("non-finite", "the array holds values that are not finite", {
    file: path,
    tensor: name,
    got: `${values[at]} at ${at}`,
  });
}
