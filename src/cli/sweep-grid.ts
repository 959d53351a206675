// The grid of a sweep: every combination of the values of its fields.
import { createHash } from "node:crypto";
import { FilterBasisError } from "../errors/error.js";

/** A value for each field, as text. */
export type GridPoint = readonly (readonly [field: string, value: string])[];

const most = 10_000;
/** Letters of a folder's name. */
const longest = 160;

/** The points of `field=a,b` for each axis, the last axis fastest. @throws FilterBasisError `usage` */
export function gridOf(sets: readonly string[]): readonly GridPoint[] {
  const axes = sets.map(axisOf);
  const twice = axes.map(({ field }) => field).find((field, at, all) => all.indexOf(field) !== at);
  if (twice !== undefined)
    throw new FilterBasisError("usage", "a field has one axis", { field: twice, cures: [`--set ${twice}=A,B`] });
  const count = axes.reduce((product, { values }) => product * values.length, 1);
  if (count > most)
    throw new FilterBasisError("usage", "the grid has too many points", {
      expected: `at most ${most}`,
      got: `${count}`,
    });
  return axes.reduce<readonly GridPoint[]>(
    (points, { field, values }) =>
      points.flatMap((point) => values.map((value) => [...point, [field, value] as const])),
    [[]],
  );
}

function axisOf(set: string): { readonly field: string; readonly values: readonly string[] } {
  const equals = set.indexOf("=");
  const [field, values] = [set.slice(0, Math.max(0, equals)), valuesOf(set.slice(equals + 1))];
  if (equals > 0 && values.every((value) => value !== "") && new Set(values).size === values.length)
    return { field, values };
  throw new FilterBasisError("usage", "--set takes a field and its values, each once", {
    expected: "FIELD=A,B",
    got: set,
  });
}

/** Values between commas that stand in no brackets, braces or quotes. */
function valuesOf(text: string): readonly string[] {
  const values: string[] = [];
  let [depth, quoted, start] = [0, "", 0];
  for (const [at, letter] of [...text].entries()) {
    if (quoted !== "") quoted = letter === quoted ? "" : quoted;
    else if (letter === '"' || letter === "'") quoted = letter;
    else if ("[{".includes(letter)) depth++;
    else if ("]}".includes(letter)) depth--;
    else if (letter === "," && depth === 0) {
      values.push([...text].slice(start, at).join("").trim());
      start = at + 1;
    }
  }
  return [...values, [...text].slice(start).join("").trim()];
}

/** The name of a point's folder: its fields and values; what no file can be named, or is too long, ends in a digest. */
export function runName(point: GridPoint): string {
  const whole = point.map(([field, value]) => `${field}=${value}`).join(",");
  const plain = whole.replace(/[^\w.=+,-]+/g, "_").slice(0, longest);
  return plain === whole ? plain : `${plain}-${createHash("sha256").update(whole).digest("hex").slice(0, 8)}`;
}
