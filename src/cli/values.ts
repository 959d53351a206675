// Reading the values of options, and printing metrics.
import { FilterBasisError } from "../errors/error.js";
import { metricDigits } from "../report/metrics.js";

/**
 * A whole number between two bounds, or undefined where the option was not given.
 * @throws FilterBasisError `usage`
 */
export function whole(option: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new FilterBasisError("usage", `${option} must be a whole number from ${least} to ${most}`, { got: text });
}

/**
 * A number between two bounds, or undefined where the option was not given.
 * @throws FilterBasisError `usage`
 */
export function number(option: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && value >= least && value <= most) return value;
  throw new FilterBasisError("usage", `${option} must be a number from ${least} to ${most}`, { got: text });
}

/** --range as numbers. */
export const rangeOf = (text: "1" | "255" | "auto" | undefined): 1 | 255 | "auto" | undefined =>
  text === undefined || text === "auto" ? text : (Number(text) as 1 | 255);

/** `{ [key]: value }`, or nothing where there is no value: for options that may be absent but not undefined. */
export function given<K extends string, V>(key: K, value: V | undefined): { readonly [key in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [key in K]: V });
}

/** A metric with the digits that mean something. */
export const metricText = (name: string, value: number): string => `${name} ${metricDigits(name, value)}`;
