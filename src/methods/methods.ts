// The table of methods, and the one way from a name and options to a pass.
import { FilterBasisError } from "../errors/error.js";
import type { Pass } from "../graph/types.js";
import { type AmcOptions, amcMethod } from "./amc.js";
import { type BasisOptions, basisFields } from "./basis.js";
import { basisMethod, channelWise, filterWise, svd } from "./basis-methods.js";
import { basisScratchMethod } from "./basis-scratch.js";
import { type CapOptions, capMethod } from "./cap.js";
import { cp } from "./cp.js";
import { denton } from "./denton.js";
import { type EncKnown, enc } from "./enc.js";
import { factorMethod } from "./factor.js";
import { groupMethod } from "./group.js";
import { groupSvd } from "./group-svd.js";
import { jaderberg } from "./jaderberg.js";
import { kmeansMethod } from "./kmeans.js";
import { kse } from "./kse.js";
import type { Method } from "./method.js";
import { checkedOptions } from "./options.js";
import { simpleSvd } from "./simple-svd.js";
import { slimmingMethod } from "./slimming.js";
import { transitionMethod } from "./transition.js";
import { type ZhangKnown, zhang } from "./zhang.js";

const table = <T extends { readonly [Name in keyof T]: Method<Name & string> }>(all: T): T => all;

/** Methods by their names. */
export const methods = table({
  basis: basisMethod,
  "filter-wise": filterWise,
  "channel-wise": channelWise,
  svd,
  "basis-scratch": basisScratchMethod,
  factor: factorMethod,
  group: groupMethod,
  transition: transitionMethod,
  "simple-svd": simpleSvd,
  zhang,
  enc,
  jaderberg,
  denton,
  cp,
  "group-svd": groupSvd,
  kmeans: kmeansMethod,
  kse,
  slimming: slimmingMethod,
  cap: capMethod,
  amc: amcMethod,
});

export type MethodName = keyof typeof methods;

/** The methods that start from a trained network's filters, with budgets, splits and basis sizes as options. */
export type WeightMethod = {
  [Name in MethodName]: (typeof methods)[Name]["options"] extends typeof basisFields ? Name : never;
}[MethodName];
export const weightMethods = Object.values<Method>(methods)
  .filter(({ options }) => options === basisFields)
  .map(({ name }) => name as WeightMethod);

/**
 * What is known of a network beside the options of a recipe, for the methods that start from filters: what was measured
 * on data, or learned from it.
 */
export type Known = Pick<BasisOptions, "moments" | "linear"> &
  Pick<ZhangKnown, "responses"> &
  Pick<EncKnown, "validate"> &
  Pick<CapOptions, "projections"> &
  Pick<AmcOptions, "kept">;

/** A method by its name. @throws FilterBasisError `not-found` */
export function methodNamed(name: string): Method {
  if (Object.hasOwn(methods, name)) return methods[name as MethodName];
  throw new FilterBasisError("not-found", "there is no such method", {
    field: "method",
    expected: Object.keys(methods).join(", "),
    got: name,
  });
}

/**
 * The pass of a method, by options as a recipe gives them. @throws FilterBasisError `not-found` (no such method),
 * `usage` (its options)
 * @example
 * ```ts
 * import { loadModel, methodPass } from "filterbasis";
 *
 * const { graph, outcomes } = methodPass("svd", { keepParams: 0.5 })(await loadModel("model.onnx"));
 * for (const { layer, applied, reason } of outcomes) console.log(layer, applied, reason);
 * console.log(graph.name);
 * ```
 */
export function methodPass(name: string, given: object, known: Known = {}): Pass {
  const method = methodNamed(name);
  const options = { ...checkedOptions(name, method.options, given), ...known };
  return (graph) => method.apply(graph, options);
}
