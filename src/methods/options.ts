// Options of methods as zod fields: recipes, their schema, help and errors come from these, and so do the types.
import * as z from "zod/mini";
import { FilterBasisError } from "../errors/error.js";
import { messages } from "../errors/schema-messages.js";
import { initRules } from "../graph/initialise.js";
import { presetNames } from "./presets.js";

export type Fields = Readonly<Record<string, z.core.$ZodType>>;

type Frozen<T> =
  T extends ReadonlyMap<infer K, infer V>
    ? ReadonlyMap<K, Frozen<V>>
    : T extends readonly (infer U)[]
      ? readonly Frozen<U>[]
      : T extends object
        ? { readonly [K in keyof T]: Frozen<T[K]> }
        : T;

type Optional<F extends Fields> = { [K in keyof F]: undefined extends z.output<F[K]> ? K : never }[keyof F];

/** What the fields of a method hold once they are checked. */
export type OptionsOf<F extends Fields> = { readonly [K in Exclude<keyof F, Optional<F>>]: Frozen<z.output<F[K]>> } & {
  readonly [K in Optional<F>]?: Frozen<Exclude<z.output<F[K]>, undefined>>;
};

/** A field with what help, schema and errors say of it. */
export function about<F extends z.core.$ZodType>(description: string, field: F): F {
  const own = z.clone(field);
  z.globalRegistry.add(own, { description });
  return own;
}

/** What is said of a field; empty where nothing is. */
export const aboutOf = (field: z.core.$ZodType): string => z.globalRegistry.get(field)?.description ?? "";

/** The same fields, none of them required. */
export function optional<const F extends Fields>(fields: F): { readonly [K in keyof F]: z.ZodMiniOptional<F[K]> } {
  const entries = Object.entries(fields).map(([name, field]) => [name, about(aboutOf(field), z.optional(field))]);
  return Object.fromEntries(entries) as { readonly [K in keyof F]: z.ZodMiniOptional<F[K]> };
}

export const count = z.int().check(z.positive());
/** A number for all layers, or one for each count of channels. */
export const byChannels = z.union([count, z.record(z.string(), count)]);
const patterns = z.union([z.string(), z.array(z.string())]);
export const sliceEnd = z.enum(["first", "last"]);

/** Which layers a method takes; names are matched by patterns with * and ?. */
export const selectionFields = optional({
  only: about("patterns of the layers to compress; default all", patterns),
  skip: about("patterns of the layers to leave as they are", patterns),
});

/** Of methods that put new layers in the place of convolutions. */
export const architectureFields = {
  ...selectionFields,
  ...optional({
    keepFirst: about(
      "the first so many convolutions stay; default 1, the one that reads the image",
      z.int().check(z.nonnegative()),
    ),
    preset: about("how the paper's authors build it for one of their networks", z.enum(presetNames)),
    init: about("rule for the new parameters", z.enum(initRules)),
    seed: about("of the new parameters; default 1", z.int().check(z.nonnegative())),
  }),
};

/** What is wrong with options, as fields and sentences; nothing where nothing is. */
export function optionFaults(
  fields: Fields,
  given: object,
): readonly { readonly field: string; readonly problem: string }[] {
  const { error } = z.strictObject(fields).safeParse(given, messages);
  return (error?.issues ?? []).map(({ code, path, message }) => {
    const field = code === "invalid_union" ? fields[String(path[0])] : undefined;
    const expected = field && aboutOf(field);
    return { field: path.join("."), problem: expected ? `${message}: expected ${expected}` : message };
  });
}

/** Options as they are when checked. @throws FilterBasisError `usage`, naming each field that is wrong */
export function checkedOptions<F extends Fields>(name: string, fields: F, given: object): OptionsOf<F> {
  const faults = optionFaults(fields, given);
  if (faults.length > 0) {
    const problems = faults.map(({ field, problem }) => (field === "" ? problem : `${field}: ${problem}`));
    throw new FilterBasisError("usage", `options of the method ${name}: ${problems.join("; ")}`, {
      field: faults[0]!.field,
      expected: `some of ${Object.keys(fields).join(", ")}`,
    });
  }
  const checked = Object.entries(z.strictObject(fields).parse(given)).filter(([, value]) => value !== undefined);
  return Object.fromEntries(checked) as OptionsOf<F>;
}
