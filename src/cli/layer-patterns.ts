// Patterns of layer names on the command line: one that matches no layer is a mistake, and is answered with the
// names that come near.
import { FilterBasisError } from "../errors/error.js";
import { nearestNames } from "../errors/nearest.js";
import { matches } from "../methods/pattern.js";
import { someNames } from "./columns.js";

/** Patterns by the option that gave them, such as `only`. */
export type LayerPatterns = Readonly<Record<string, readonly string[]>>;

/**
 * @param names of all layers, those that cannot be compressed among them, and of groups where patterns may name such
 * @throws FilterBasisError `not-found` for the first pattern that matches none of the names
 */
export function checkLayerPatterns(patterns: LayerPatterns, names: readonly string[]): void {
  for (const [option, given] of Object.entries(patterns)) {
    for (const pattern of given) {
      if (names.some((name) => matches(name, [pattern]))) continue;
      const near = nearNames(pattern, names);
      throw new FilterBasisError(
        "not-found",
        `--${option} matches no layer${near.length > 0 ? `; did you mean ${someNames(near, 3)}?` : ""}`,
        {
          field: pattern,
          cures: [
            "patterns match whole names: * stands for any text, ? for one character",
            `the model's layers: ${someNames(names)}`,
          ],
        },
      );
    }
  }
}

/** Names that differ in a few letters or in upper and lower case, or that have the pattern's text somewhere inside. */
function nearNames(pattern: string, names: readonly string[]): readonly string[] {
  const text = pattern.replaceAll(/[*?]/g, "").toLowerCase();
  const inside = text === "" ? [] : names.filter((name) => name.toLowerCase().includes(text));
  const lower = new Map(names.map((name) => [name.toLowerCase(), name]));
  const spelled = nearestNames(pattern.toLowerCase(), [...lower.keys()]).map((name) => lower.get(name)!);
  return [...new Set([...inside, ...spelled])];
}
