// How each operator is lowered to libtorch, or why it is not.
import type { OperatorName } from "../../ops/table.js";
import { activations } from "./activations.js";
import { convolutions } from "./convolution.js";
import { elementwise } from "./elementwise.js";
import { indexing } from "./indexing.js";
import type { Lowering } from "./lowering.js";
import { movement } from "./movement.js";
import { normalizations } from "./normalization.js";
import { notLowered } from "./not-lowered.js";
import { padding } from "./padding.js";
import { pools } from "./pools.js";
import { quantised } from "./quantised.js";
import { reductions } from "./reductions.js";
import { resizing } from "./resize.js";
import { shapes } from "./shapes.js";

export const lowerings = {
  ...convolutions,
  ...normalizations,
  ...pools,
  ...quantised,
  ...activations,
  ...elementwise,
  ...reductions,
  ...movement,
  ...indexing,
  ...padding,
  ...resizing,
  ...shapes,
  ...notLowered,
} satisfies Record<OperatorName, Lowering | string>;

/** The operators that are lowered. */
export type LoweredName = {
  [Name in OperatorName]: (typeof lowerings)[Name] extends string ? never : Name;
}[OperatorName];
