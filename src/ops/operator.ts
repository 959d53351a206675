// What an operator is: everything that the program knows of it without running it. A family of operators is one file,
// an operator one entry.
import type { Attribute, Node, ValueType } from "../graph/types.js";
import type { AffineRule } from "./rules/affine.js";
import type { Rule } from "./rules/call.js";
import type { DemandRule } from "./rules/demand.js";
import type { RandomRule } from "./rules/random.js";
import type { ReachRule } from "./rules/reach.js";
import type { ValueRule } from "./rules/value.js";

export interface Operator {
  /** How it is called; absent: calls are not checked. */
  readonly signature?: Signature;
  /** What its inputs are; all that are not named are data. */
  readonly operands?: readonly Role[];
  /** Types and shapes of its outputs; absent: they are not known. */
  readonly shapes?: Rule;
  /** The elements of its outputs where those of its inputs are known. */
  readonly value?: ValueRule;
  /** What its constants demand of free sizes. */
  readonly demands?: DemandRule;
  /** Multiply-accumulates of a layer, an operator that multiplies by a weight. */
  readonly macs?: MacRule;
  /** A layer whose weight slides over its input. */
  readonly convolves?: true;
  /** Convolves or pools with padding: an image keeps its size, or the stride makes it smaller. */
  readonly window?: true;
  /** Which pixels of its input a pixel of its output depends on; absent: that is not known. */
  readonly reach?: ReachRule;
  /** How k x + t of each channel is put into the weights of a layer. */
  readonly absorbsAffine?: AffineRule;
  /** Its second input says which elements of the first it takes. */
  readonly picks?: true;
  /** Adds or multiplies element by element, so that a vector among its inputs shifts or scales channels. */
  readonly affine?: true;
  /** A function of one value that networks have behind a layer and its normalisation. */
  readonly activation?: true;
  /** Its result is drawn at random: always, or where an input says so. */
  readonly random?: RandomRule;
  /**
   * From which version on a node means the same in all later ones; they only took more element types
   * (onnx/docs/Changelog.md).
   */
  readonly since?: number;
  /** Its result depends on the shape of its input alone. */
  readonly readsShape?: true;
  /** How many products or terms each element of its result is the sum of. Default: 1, none where it rounds nothing. */
  readonly sums?: SumRule;
  /** It rounds nothing: it moves or chooses elements ("always"), or whole numbers stay whole ("whole"). */
  readonly exact?: "always" | "whole";
  /** A rounding of its inputs may become a jump of its result. */
  readonly stepwise?: true;
  /** Results lie within 1: always, or where its first input or all of its inputs do. */
  readonly bounded?: "always" | "first" | "all";
  /**
   * What becomes of the channels of its first input: see `ChannelRule`. Absent: they cannot be told apart behind it.
   */
  readonly channels?: ChannelRule;
  /** Its gradient does not need its result, which shares memory with no other: the next operator may write over it. */
  readonly overwritable?: true;
}

/**
 * What an operator makes of channels (axis 1). `kept`: each stays by itself, and what it reads beside its data is one
 * number a channel or none. `tied`: those of all inputs go together, one by one. `layer`: new ones, each made of all.
 * The others move channels: joined, split, sliced, picked, padded; or change the axes around them: reshaped, reduced,
 * resized, transposed. `measured`: their number is read.
 */
export type ChannelRule =
  | "kept"
  | "tied"
  | "layer"
  | "joined"
  | "split"
  | "sliced"
  | "picked"
  | "padded"
  | "reshaped"
  | "reduced"
  | "resized"
  | "transposed"
  | "measured";

export type Family = Readonly<Record<string, Operator>>;

/** The shape of its calls, wide enough for every opset from 1 on: what some version allows is allowed. */
export interface Signature {
  /** Least and most operands. */
  readonly inputs: readonly [number, number];
  readonly outputs: readonly [number, number];
  /** Types of attributes; others are not judged. */
  readonly attributes: Kinds;
}

export type Kinds = Readonly<Record<string, Attribute["kind"]>>;

/**
 * weight, bias, scale, shift, slope: parameters. factor: data or weight, whichever is constant (of two constants the
 * later). per-channel: a parameter where it is an initializer of one number a channel. mean, variance: running
 * statistics. setting: numbers that are neither.
 */
export type Role =
  | "data"
  | "weight"
  | "factor"
  | "bias"
  | "scale"
  | "shift"
  | "slope"
  | "per-channel"
  | "mean"
  | "variance"
  | "setting";

/** Undefined where its shapes are not known. */
export type MacRule = (node: Node, weight: string, shapes: ReadonlyMap<string, ValueType>) => number | undefined;

/** `sizes` gives the shape of an input, sizes that are not known as 1. */
export type SumRule = (node: Node, sizes: (input: number) => readonly number[]) => number;

/** No upper limit. */
export const any = Number.POSITIVE_INFINITY;

type Count = number | readonly [number, number];
const range = (count: Count): readonly [number, number] => (typeof count === "number" ? [count, count] : count);

export const calls = (inputs: Count, attributes: Kinds = {}, outputs: Count = 1): Signature => ({
  inputs: range(inputs),
  outputs: range(outputs),
  attributes,
});

/** An attribute of many operators before opset 6. */
export const old = { consumed_inputs: "ints" } as const satisfies Kinds;

/** The places of the inputs that have one of the roles. */
export function placesOf(operator: Operator | undefined, ...roles: readonly Role[]): readonly number[] {
  return (operator?.operands ?? []).flatMap((role, index) => (roles.includes(role) ? [index] : []));
}
