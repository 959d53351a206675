// How images become inputs of a network, and how a model's metadata says it.
import type { Channels, InputOptions } from "../data/inputs.js";

/** How images become inputs of a network. */
export interface Conventions {
  readonly size: { readonly width: number; readonly height: number };
  readonly fit: NonNullable<InputOptions["fit"]>;
  readonly normalize: string;
  readonly channels: Channels;
  readonly range: 1 | 255;
  /** Of a super-resolution network. */
  readonly scale?: number;
}

/** The metadata that written models carry their conventions in, by the name of the option. */
export const conventionKeys = {
  fit: "filterbasis.fit",
  normalize: "filterbasis.normalize",
  channels: "filterbasis.channels",
  range: "filterbasis.range",
  scale: "filterbasis.scale",
} as const;

/** Conventions as a model's metadata. */
export const conventionsOf = ({
  fit,
  normalize,
  channels,
  range,
  scale,
}: Conventions): Readonly<Record<string, string>> => ({
  [conventionKeys.fit]: fit,
  [conventionKeys.normalize]: normalize,
  [conventionKeys.channels]: channels,
  [conventionKeys.range]: String(range),
  ...(scale === undefined ? {} : { [conventionKeys.scale]: String(scale) }),
});
