// libtorch's schemas as TypeScript signatures: what the typed bindings are generated from and checked against.
import { FilterBasisError } from "../errors/error.js";

export interface Parameter {
  readonly name: string;
  /** As libtorch prints it: "Tensor?", "int[2]", "ScalarType?" */
  readonly type: string;
  readonly optional: boolean;
  /** Given by name only. */
  readonly named: boolean;
}

export interface Schema {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly results: readonly string[];
}

/** Reads `aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`. */
export function parseSchema(text: string): Schema {
  const [, name, inside, result] = /^(?:aten::)?([\w:.]+)\((.*)\) -> (.*)$/.exec(text) ?? [];
  if (name === undefined || inside === undefined || result === undefined)
    throw new FilterBasisError("internal", "a schema could not be read", { op: text });
  const parameters: Parameter[] = [];
  let named = false;
  for (const part of split(inside)) {
    if (part === "*") named = true;
    else parameters.push(parseParameter(part, named));
  }
  const tuple = /^\((.*)\)$/.exec(result)?.[1];
  const results = (tuple === undefined ? [result] : split(tuple)).map((one) => withoutAlias(one).split(" ")[0]!);
  return { name, parameters, results };
}

function parseParameter(text: string, named: boolean): Parameter {
  const [, type, name, value] = /^(.+?) (\w+)(=.*)?$/.exec(withoutAlias(text)) ?? [];
  if (type === undefined || name === undefined)
    throw new FilterBasisError("internal", "an argument of a schema could not be read", { op: text });
  return { name, type, named, optional: value !== undefined || type.endsWith("?") };
}

/** "Tensor(a! -> *)[]" and the like: which tensors share memory does not matter here. */
function withoutAlias(text: string): string {
  return text.replace(/^([A-Z]\w*)\([^)]*\)/, "$1");
}

/** Splits at commas that are not inside brackets or quotes. */
function split(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let quoted = false;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const letter = text[i]!;
    if (letter === '"') quoted = !quoted;
    if (quoted) continue;
    if ("([".includes(letter)) depth++;
    if (")]".includes(letter)) depth--;
    if (letter !== "," || depth > 0) continue;
    parts.push(text.slice(start, i).trim());
    start = i + 1;
  }
  return [...parts, text.slice(start).trim()].filter((part) => part !== "");
}

const plain: Readonly<Record<string, string>> = {
  Tensor: "Tensor",
  int: "number",
  SymInt: "number",
  float: "number",
  Scalar: "number | boolean",
  bool: "boolean",
  str: "string",
  ScalarType: "DType",
  Layout: '"strided" | "sparse" | "mkldnn"',
  Device: "string",
  MemoryFormat: "MemoryFormat",
};

/** The TypeScript type of an argument, or undefined for what cannot be passed (generators, names of dimensions). */
export function parameterType(type: string): string | undefined {
  if (type.endsWith("?")) return or(parameterType(type.slice(0, -1)), "null");
  const list = /^(.*)\[(\d*)\]$/.exec(type);
  if (list === null) return plain[type];
  const inner = parameterType(list[1]!);
  if (inner === undefined) return undefined;
  const array = `readonly ${inner.includes("|") ? `(${inner})` : inner}[]`;
  return list[2] === "" || inner === "Tensor" ? array : `${inner} | ${array}`;
}

function or(type: string | undefined, other: string): string | undefined {
  return type && `${type} | ${other}`;
}

/** The TypeScript type of an operator's results. */
export function resultType(results: readonly string[]): string {
  const types = results.map((one) =>
    one.endsWith("[]") ? `readonly ${plain[one.slice(0, -2)]}[]` : (plain[one] ?? "Value"),
  );
  if (types.length === 1) return types[0]!;
  return types.length === 0 ? "void" : `readonly [${types.join(", ")}]`;
}

/**
 * The TypeScript signature of a schema: `(self: Tensor, other: Tensor, named?: { alpha?: number | undefined }) =>
 * Tensor`.
 */
export function signature(schema: Schema): string {
  const known = schema.parameters.flatMap((parameter) => {
    const type = parameterType(parameter.type);
    if (type === undefined && !parameter.optional)
      throw new FilterBasisError("unsupported", `an argument of type ${parameter.type} cannot be passed`, {
        op: schema.name,
      });
    // A number is welcome where the second operand of arithmetic goes: it promotes as it would in Python.
    const operand = parameter.type === "Tensor" && parameter.name === "other";
    return type === undefined ? [] : [{ ...parameter, type: operand ? "Tensor | number" : type }];
  });
  const write = ({ name, type, optional }: Parameter) => `${camel(name)}${optional ? "?" : ""}: ${type}`;
  const positional = known.filter(({ named }) => !named);
  const lastNeeded = positional.findLastIndex(({ optional }) => !optional);
  // An optional argument before a needed one must be written out; null stands for it.
  const parts = positional.map((parameter, i) =>
    write({ ...parameter, optional: parameter.optional && i > lastNeeded }),
  );
  const named = known.filter((parameter) => parameter.named);
  if (named.length > 0) {
    const must = named.some(({ optional }) => !optional) ? "" : "?";
    const inside = named
      .map(({ name, type, optional }) => `${name}${optional ? "?" : ""}: ${type}${optional ? " | undefined" : ""}`)
      .join("; ");
    parts.push(`named${must}: { ${inside} }`);
  }
  return `(${parts.join(", ")}) => ${resultType(schema.results)}`;
}

/** "kernel_size" -> "kernelSize", "_foreach_add_.List" -> "foreachAdd_List", "add.Tensor" -> "addTensor" */
export function camel(name: string): string {
  return name
    .replace(/^_+/, "")
    .replace(
      /[_.]+([a-zA-Z0-9])/g,
      (all, letter: string, at: number) => (all.startsWith("_.") && at > 0 ? "_" : "") + letter.toUpperCase(),
    );
}
