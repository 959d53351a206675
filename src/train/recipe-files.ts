// Recipes as files: YAML or JSON, one `extends` at a time, values overridden from the command line.
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, type YAMLParseError } from "yaml";
import { FilterBasisError } from "../errors/error.js";
import { nearest } from "../errors/nearest.js";
import { type Identified, identify, notWanted } from "../formats/foreign/identify.js";
import { identifyFile } from "../runtime/identify-file.js";
import { parseRecipe, type Recipe } from "./recipe.js";

type Fields = Readonly<Record<string, unknown>>;

const extensions = [".yaml", ".yml", ".json"];
const longest = 1 << 20;

/** The folder of the recipes that come with the project. */
export const recipeFolder = fileURLToPath(new URL("../../recipes/", import.meta.url));

/**
 * Reads and checks a recipe given by path or by the name of one of the project's, with `overrides` such as
 * "optimizer.lr=0.05".
 */
export async function loadRecipe(pathOrName: string, overrides: readonly string[] = []): Promise<Recipe> {
  const file = await findRecipe(pathOrName, process.cwd());
  const fields = await readChain(file, []);
  return parseRecipe(overrides.reduce(override, fields), file);
}

/** Every recipe file below a folder. */
export async function listRecipes(folder = recipeFolder): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && extensions.includes(extname(entry.name)) && entry.name !== "schema.json")
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function findRecipe(pathOrName: string, from: string): Promise<string> {
  const own = resolve(from, pathOrName);
  if (extensions.includes(extname(pathOrName))) return own;
  const files = await listRecipes();
  const nameOf = (file: string): string => basename(file, extname(file));
  const found = files.find((file) => nameOf(file) === pathOrName);
  if (found !== undefined) return found;
  const there = await stat(own).catch(() => undefined);
  if (there?.isFile()) throw notRecipe(pathOrName, await identifyFile(own));
  const folder = there?.isDirectory()
    ? [`resume the run in this folder: filterbasis train ${pathOrName} --resume`]
    : [];
  throw new FilterBasisError("not-found", `no recipe of this name${nearest(pathOrName, files.map(nameOf), "")}`, {
    file: pathOrName,
    expected: "a recipe's file, or a name that `filterbasis recipes` lists",
    cures: folder,
  });
}

/** A file that is given as a recipe and is none, or is not named like one. */
function notRecipe(file: string, found: Identified | undefined, cause?: unknown): FilterBasisError {
  if (found === undefined || isText(found)) {
    return new FilterBasisError("invalid-recipe", "a recipe's file is named .yaml, .yml or .json", { file, cause });
  }
  const cures =
    found.kind === "onnx"
      ? [
          "name the model in a recipe (network.file)",
          "or fine-tune it when it is compressed: filterbasis compress MODEL -o OUT --data DATA",
        ]
      : ["give a recipe in YAML or JSON, or a name that `filterbasis recipes` lists"];
  return notWanted(found, { wanted: "a recipe", file, cures, cause });
}

/** YAML is text, and so are things that look like other kinds of text. */
const isText = ({ kind }: Identified): boolean =>
  ["text", "json", "python", "darknet", "caffe", "onnx-text"].includes(kind);

async function readChain(file: string, seen: readonly string[]): Promise<Fields> {
  if (seen.includes(file)) {
    throw new FilterBasisError("invalid-recipe", "the recipe extends itself", {
      file,
      field: "extends",
      got: [...seen, file].map((path) => basename(path)).join(" -> "),
    });
  }
  const { extends: parent, ...own } = await readFields(file);
  if (parent === undefined) return own;
  if (typeof parent !== "string") {
    throw new FilterBasisError("invalid-recipe", "extends names one other recipe", {
      file,
      field: "extends",
      expected: "a string",
      got: JSON.stringify(parent),
    });
  }
  return merge(await readChain(await findRecipe(parent, dirname(file)), [...seen, file]), own);
}

async function readFields(file: string): Promise<Fields> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new FilterBasisError(code === "ENOENT" ? "not-found" : "io", "cannot read the recipe", {
      file,
      cause,
      got: code ?? String(cause),
    });
  }
  const found = identify(bytes, { name: basename(file) });
  if (bytes.length > 0 && found !== undefined && !isText(found)) throw notRecipe(file, found);
  const text = new TextDecoder().decode(bytes);
  if (text.length > longest)
    throw new FilterBasisError("too-large", "a recipe of this size cannot be right", {
      file,
      expected: `at most ${longest} characters`,
      got: `${text.length}`,
    });
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 20 });
  } catch (cause) {
    throw new FilterBasisError("malformed", `the recipe is not YAML or JSON: ${(cause as YAMLParseError).message}`, {
      file,
      cause,
    });
  }
  if (isFields(value)) return value;
  throw new FilterBasisError("invalid-recipe", "a recipe is a set of named fields", {
    file,
    got: value === null ? "nothing" : Array.isArray(value) ? "a list" : typeof value,
  });
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Fields of `own` win; sets are merged field by field, everything else is replaced. A set whose `name` or `method`
 * changes starts afresh.
 */
function merge(base: Fields, own: Fields): Fields {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(own)) {
    const before = merged.get(key);
    const other =
      isFields(before) &&
      isFields(value) &&
      ["name", "method"].some((kind) => kind in value && kind in before && value[kind] !== before[kind]);
    merged.set(key, isFields(before) && isFields(value) && !other ? merge(before, value) : value);
  }
  return Object.fromEntries(merged);
}

/** One `path.to.field=value`; the value is read as YAML. */
function override(fields: Fields, assignment: string): Fields {
  const equals = assignment.indexOf("=");
  const path = assignment.slice(0, Math.max(0, equals)).split(".");
  if (equals < 1 || path.some((key) => key === "" || key === "__proto__")) {
    throw new FilterBasisError("usage", "--set takes field=value", {
      field: assignment,
      expected: "for example optimizer.lr=0.05",
    });
  }
  const value: unknown = parse(assignment.slice(equals + 1));
  return merge(fields, path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Fields);
}
