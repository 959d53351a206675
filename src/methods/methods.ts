// The table of methods, and the one way from a name and options to a pass.
import type { Pass } from "../graph/types.js";
import { type AmcOptions, amcMethod } from "./amc.js";
import { baseMethods } from "./base-methods.js";
import { type BasisOptions, basisFields } from "./basis.js";
import { type CapOptions, capMethod } from "./cap.js";
import { cp } from "./cp.js";
import { denton } from "./denton.js";
import { type EncKnown, enc } from "./enc.js";
import { groupSvd } from "./group-svd.js";
import { jaderberg } from "./jaderberg.js";
import { kmeansMethod } from "./kmeans.js";
import { kse } from "./kse.js";
import type { Method } from "./method.js";
import { methodIn, passIn, table } from "./method-table.js";
import { simpleSvd } from "./simple-svd.js";
import { slimmingMethod } from "./slimming.js";
import { type ZhangKnown, zhang } from "./zhang.js";

/** Methods by their names. */
export const methods = table({
  ...baseMethods,
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
export const methodNamed = (name: string): Method => methodIn(methods, name);

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
export const methodPass = (name: string, given: object, known: Known = {}): Pass => passIn(methods, name, given, known);
