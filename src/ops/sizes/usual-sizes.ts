// The sizes that free axes usually have, by what the axis is taken to be.
import { symbolsOf, usable } from "../../graph/dims.js";
import type { DataType, Dim, Graph } from "../../graph/types.js";
import { isFloat } from "../../graph/values.js";
import type { FreeSizes } from "./free-sizes.js";

/**
 * What an axis is of: `pixels` of an image or of a `patch` of one, the `width` of an image of fixed height, `frames` of
 * features, `samples` of a waveform.
 */
export type SizeKind = "batch" | "channels" | "pixels" | "patch" | "width" | "voxels" | "frames" | "samples" | "tokens";

/**
 * Tried in this order. Among the first are multiples of 32 and 64, what classifiers are trained at, and what lies
 * between.
 */
export const usualSizes: Readonly<Record<SizeKind, readonly number[]>> = {
  batch: [1],
  channels: [3, 1, 4, 2, 16, 32, 64, 8, 128, 12, 6],
  pixels: [
    224, 64, 32, 28, 256, 128, 96, 320, 384, 512, 299, 48, 160, 192, 227, 416, 448, 640, 16, 768, 1024, 257, 65, 33, 8,
  ],
  patch: [64, 32, 48, 96, 128, 192, 256, 224, 28, 320, 384, 512, 16, 8],
  width: [320, 128, 256, 64, 100, 32, 224, 512, 640, 48, 16, 1024, 8],
  voxels: [32, 64, 16, 96, 128, 112, 8, 48, 24, 80],
  frames: [128, 64, 100, 256, 32, 512, 16, 200, 300, 8, 1000, 1024, 3000, 1],
  samples: [16000, 16384, 512, 1024, 256, 128, 64, 32, 576, 4096, 8192, 32000, 32768, 48000, 65536, 16],
  tokens: [16, 32, 64, 128, 8, 256, 512, 1],
};

const priority: readonly SizeKind[] = ["pixels", "width", "voxels", "batch", "samples", "tokens", "channels", "frames"];

/** What every free symbol stands for: the most telling of the places where it occurs. */
export function kindsOf(graph: Graph, { dims, symbols }: FreeSizes): ReadonlyMap<string, SizeKind> {
  const types = new Map(graph.inputs.map(({ name, tensor }) => [name, tensor?.type ?? "float32"]));
  const found = new Map<string, SizeKind[]>(symbols.map((symbol) => [symbol, []]));
  for (const [name, sizes] of dims) {
    sizes.forEach((size, axis) => {
      for (const symbol of symbolsOf(size)) found.get(symbol)?.push(kindAt(sizes, axis, types.get(name)!));
    });
  }
  return new Map([...found].map(([symbol, kinds]) => [symbol, kindOf(symbol, kinds)]));
}

const kindOf = (symbol: string, kinds: readonly SizeKind[]): SizeKind =>
  /batch|^(n|b|bs|bsz)$/i.test(symbol) ? "batch" : (priority.find((kind) => kinds.includes(kind)) ?? "frames");

/**
 * The usual shape of one input by itself; what it shares with others, and what the network demands, is not looked at.
 */
export function usualShape(dims: readonly Dim[], type: DataType): readonly number[] {
  const named = dims.map((dim, axis) =>
    typeof dim === "number" ? dim : ((usable(dim) as string | null) ?? `free_${axis}`),
  );
  return named.map((size, axis) =>
    typeof size === "number" ? size : usualSizes[kindOf(size, [kindAt(named, axis, type)])][0]!,
  );
}

const isFree = (size: number | string | undefined): boolean => typeof size === "string";
const isColours = (size: number | string | undefined): boolean => typeof size === "number" && size >= 1 && size <= 4;

/** What one axis of one input is. */
function kindAt(sizes: readonly (number | string)[], axis: number, type: DataType): SizeKind {
  const rank = sizes.length;
  const [first, second, third, fourth] = sizes;
  if (rank === 1) return isFloat(type) ? "samples" : "batch";
  // an image without a batch: [3, H, W] or [H, W, 3]
  if (rank === 3 && isColours(first) && isFree(second) && isFree(third)) return "pixels";
  if (rank === 3 && isFree(first) && isFree(second) && (third === 3 || third === 4)) return "pixels";
  if (axis === 0) return "batch";
  if (rank === 2) return isFloat(type) ? "samples" : "tokens";
  if (rank === 3)
    return axis === 1 ? (isFree(third) ? "channels" : "frames") : isColours(second) ? "samples" : "frames";
  const channelsLast = rank === 4 && isFree(second) && isFree(third) && typeof fourth === "number" && fourth <= 16;
  if (axis === 1 && !channelsLast) return isFree(third) || isFree(fourth) ? "channels" : "frames";
  if (rank > 4) return "voxels";
  const spatial = channelsLast ? [second, third] : [third, fourth];
  return spatial.every(isFree) ? "pixels" : "width";
}
