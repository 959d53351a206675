// What a layer's weights are to a scaling and shifting of its channels.
import type { Node, TensorData } from "../../graph/types.js";
import { numbers } from "../../graph/values.js";

export interface Skipped {
  readonly reason: string;
}

/** The weights of a layer: W[o, i, rest] as three sizes, with the place of each channel in the stored order. */
export interface AffineLayer {
  readonly weight: TensorData;
  readonly bias: Float64Array;
  readonly outChannels: number;
  readonly inChannels: number;
  /** For each stored element: its output and its input channel. */
  readonly channels: (index: number) => readonly [out: number, into: number];
  /** Attributes that change because the bias now holds what they said. */
  readonly node: Node;
  /** Does every output see every weight, so that a shift of the input is the same everywhere? */
  readonly padded: boolean;
  /** It always has a bias. */
  readonly biased?: true;
}

export interface AffineRule {
  /** Which inputs hold the weight and the bias that scaling its output changes. */
  readonly places: (node: Node) => readonly [weight: number, bias: number];
  readonly read: (node: Node, weight: TensorData, bias: TensorData | undefined) => AffineLayer | Skipped;
}

export const biasOr0 = (bias: TensorData | undefined, channels: number): Float64Array =>
  bias === undefined ? new Float64Array(channels) : numbers(bias);
