// The table of operators. What is not in it is carried, and nothing is known of it.
import { basisConvDomain, isBasisConv } from "../graph/basis-conv.js";
import type { Node } from "../graph/types.js";
import { activations } from "./activations.js";
import { basisConvolution } from "./basis-convolution.js";
import { constants } from "./constants.js";
import { control } from "./control.js";
import { convolutions } from "./convolution.js";
import { elementwise } from "./elementwise.js";
import { indexing } from "./indexing.js";
import { joining } from "./joining.js";
import { matrices } from "./matrix.js";
import { microsoft } from "./microsoft.js";
import { normalisations } from "./normalisation.js";
import type { Family, Operator } from "./operator.js";
import { pools } from "./pooling.js";
import { quantised } from "./quantised.js";
import { randoms } from "./random.js";
import { recurrents } from "./recurrent.js";
import { reductions } from "./reductions.js";
import { reshaping } from "./reshaping.js";
import { resizing } from "./resize.js";

/** The operators of the standard domain. */
export const standard = {
  ...convolutions,
  ...matrices,
  ...pools,
  ...normalisations,
  ...activations,
  ...elementwise,
  ...reductions,
  ...reshaping,
  ...joining,
  ...indexing,
  ...resizing,
  ...constants,
  ...randoms,
  ...recurrents,
  ...quantised,
  ...control,
} satisfies Family;

export type OperatorName = keyof typeof standard;

const domains: ReadonlyMap<string, Family> = new Map<string, Family>([
  ["", standard],
  ["ai.onnx", standard],
  ["com.microsoft", microsoft],
  [basisConvDomain, basisConvolution],
]);

/** What is known of the operator that a node calls; undefined where nothing is. */
export function operatorOf(node: Node): Operator | undefined {
  const family = domains.get(node.domain);
  if (family === undefined || !Object.hasOwn(family, node.op)) return undefined;
  return node.domain !== basisConvDomain || isBasisConv(node) ? family[node.op] : undefined; // a model may define one of that name
}
