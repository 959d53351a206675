// The one table of operators: what the interpreter runs, and how each is lowered to libtorch.
import { convolutions } from "./convolution.js";
import { elementwise } from "./elementwise.js";
import { movement } from "./movement.js";
import type { OperatorName } from "./names.js";
import { normalizations } from "./normalization.js";
import { pools } from "./pools.js";
import { shapes } from "./shapes.js";
import type { Lowering } from "./site.js";

export const lowerings: Partial<Record<OperatorName, Lowering>> = {
  ...convolutions,
  ...normalizations,
  ...pools,
  ...elementwise,
  ...movement,
  ...shapes,
};
