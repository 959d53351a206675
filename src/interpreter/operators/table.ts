// The one table of operators: what the interpreter runs, and how each is lowered to libtorch.
import { activations } from "./activations.js";
import { convolutions } from "./convolution.js";
import { elementwise } from "./elementwise.js";
import { indexing } from "./indexing.js";
import type { Lowering } from "./lowering.js";
import { movement } from "./movement.js";
import type { OperatorName } from "./names.js";
import { normalizations } from "./normalization.js";
import { padding } from "./padding.js";
import { pools } from "./pools.js";
import { reductions } from "./reductions.js";
import { resizing } from "./resize.js";
import { shapes } from "./shapes.js";

export const lowerings = {
  ...convolutions,
  ...normalizations,
  ...pools,
  ...activations,
  ...elementwise,
  ...reductions,
  ...movement,
  ...indexing,
  ...padding,
  ...resizing,
  ...shapes,
} satisfies Record<OperatorName, Lowering>;
