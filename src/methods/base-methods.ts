// The paper's own methods and the architectures that it compares with: what a web page has. Methods of other papers
// stand in methods.ts beside these, and would make the page's script larger by a fifth.
import type { Pass } from "../graph/types.js";
import type { BasisOptions } from "./basis.js";
import { basisMethod, channelWise, filterWise, svd } from "./basis-methods.js";
import { basisScratchMethod } from "./basis-scratch.js";
import { factorMethod } from "./factor.js";
import { groupMethod } from "./group.js";
import { passIn, table } from "./method-table.js";
import { transitionMethod } from "./transition.js";

export const baseMethods = table({
  basis: basisMethod,
  "filter-wise": filterWise,
  "channel-wise": channelWise,
  svd,
  "basis-scratch": basisScratchMethod,
  factor: factorMethod,
  group: groupMethod,
  transition: transitionMethod,
});

export type BaseMethodName = keyof typeof baseMethods;

/** The pass of one of these methods. @throws FilterBasisError `not-found` (no such method), `usage` (its options) */
export const baseMethodPass = (
  name: string,
  given: object,
  known: Pick<BasisOptions, "moments" | "linear"> = {},
): Pass => passIn(baseMethods, name, given, known);
