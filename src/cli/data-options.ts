// The options that say how data becomes inputs of a network, for every command that takes --data.
import { fits } from "../data/codec.js";
import { parseNormalization } from "../data/image-set.js";
import { type Channels, channelOrders, type InputOptions } from "../data/inputs.js";
import { FilterBasisError } from "../errors/error.js";
import { given, whole } from "./values.js";

const text = (description: string, valueHint: string) => ({ type: "string" as const, description, valueHint });

/** Their definitions, for a command's `args`. What the model states need not be given. */
export const inputOptions = {
  size: text("images: brought to this size", "WxH"),
  fit: {
    type: "enum" as const,
    options: [...fits], // citty wants the list writable
    description: "images: stretched to the size (fill), whole between bars (contain) or cut to it (cover)",
  },
  normalize: text("images: cifar10, imagenet, none, m,m,m/s,s,s or m/s", "HOW"),
  channels: { type: "enum" as const, options: [...channelOrders], description: "images: the network's channels" },
  range: { type: "enum" as const, options: ["1", "255"], description: "images: what 8-bit 255 is in the network" },
  limit: text("only N inputs", "N"),
};

/** Their values as citty hands them over. */
export interface InputArguments {
  readonly size?: string | undefined;
  readonly fit?: (typeof fits)[number] | undefined;
  readonly normalize?: string | undefined;
  readonly channels?: Channels | undefined;
  readonly range?: string | undefined;
  readonly limit?: string | undefined;
}

/**
 * Reads the options that were given.
 * @throws FilterBasisError `usage`
 */
export function readInputOptions({ size, fit, normalize, channels, range, limit }: InputArguments): InputOptions {
  if (normalize !== undefined) parseNormalization(normalize); // told now, not after the images were loaded
  return {
    ...given("size", size === undefined ? undefined : readSize(size)),
    ...given("fit", fit),
    ...given("normalize", normalize),
    ...given("channels", channels),
    ...given("range", range === undefined ? undefined : (Number(range) as 1 | 255)),
    ...given("limit", whole("--limit", limit, 1, 1e9)),
  };
}

/** What was guessed of the images, for people: `normalize none, range 1`, with the options that state others. */
export function guessedText(guessed: readonly string[]): string {
  const options = guessed.map((guess) => `--${guess.split(" ")[0]}`);
  return `images: ${guessed.join(", ")} (guessed; state others with ${options.join(", ")})`;
}

function readSize(text: string): { readonly width: number; readonly height: number } {
  const [, width = 0, height = 0] = (/^(\d{1,5})x(\d{1,5})$/.exec(text) ?? []).map(Number);
  if (width > 0 && height > 0) return { width, height };
  throw new FilterBasisError("usage", "--size is a width and a height", {
    expected: "WxH, such as 320x240",
    got: text,
  });
}
