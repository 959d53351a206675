// Random calls of operators, drawn from their schemas. A call is plain data, so that it can be replayed elsewhere.
import fc from "fast-check";
import type { DType } from "../../src/torch/dtype.js";
import { type Parameter, parseSchema, type Schema } from "../../src/torch/schema.js";

export interface TensorSpec {
  readonly kind: "tensor";
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Chooses the elements: see elementOf. */
  readonly fill: number;
  /** As it is, with its axes reversed, or every second element along the last axis. */
  readonly view: "whole" | "reversed" | "stepped";
  readonly requiresGrad: boolean;
}

/** Numbers that JSON cannot hold travel as text. */
export type ArgumentSpec =
  | TensorSpec
  | { readonly kind: "float"; readonly text: string }
  | { readonly kind: "dtype" | "device" | "layout" | "memory format"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly ArgumentSpec[] }
  | number
  | boolean
  | string
  | null;

export interface CallSpec {
  /** "aten::add.Tensor"; "aten::relu." for the overload without a name */
  readonly operator: string;
  /** By name, in the schema's order; what is left out takes its default. */
  readonly args: Readonly<Record<string, ArgumentSpec>>;
  /** Names that may not be given by position. */
  readonly named: readonly string[];
  /** Whether the gradient of the sum of the first result is asked for afterwards. */
  readonly backward: boolean;
}

/**
 * The k-th element of a tensor, as the replay in Python computes it too: small whole numbers and halves, some negative.
 */
export function elementOf(dtype: DType, fill: number, k: number): number {
  if (dtype === "bool") return (k + fill) % 3 === 0 ? 1 : 0;
  const whole = ((k * 5 + fill) % 9) - (dtype === "uint8" ? 0 : 2);
  return dtype.startsWith("int") || dtype === "uint8" ? whole : whole / 2;
}

const dtype = fc.oneof(
  { weight: 8, arbitrary: fc.constant<DType>("float32") },
  { weight: 3, arbitrary: fc.constant<DType>("int64") },
  {
    weight: 3,
    arbitrary: fc.constantFrom<DType>("float64", "bool", "uint8", "int32", "bfloat16", "float16", "complex64"),
  },
);
const shape = fc.array(
  fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 12, arbitrary: fc.integer({ min: 1, max: 5 }) }),
  { maxLength: 5 },
);

function tensor(like: readonly number[]): fc.Arbitrary<TensorSpec> {
  return fc.record({
    kind: fc.constant("tensor" as const),
    dtype,
    shape: fc.oneof(fc.constant(like), shape),
    fill: fc.integer({ min: 0, max: 20 }),
    view: fc.oneof(
      { weight: 6, arbitrary: fc.constant("whole" as const) },
      { weight: 1, arbitrary: fc.constantFrom("reversed" as const, "stepped" as const) },
    ),
    requiresGrad: fc.boolean(),
  });
}

const integer = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: -1, max: 4 }) },
  { weight: 4, arbitrary: fc.integer({ min: -8, max: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom(-(2 ** 31), 2 ** 31, 2 ** 53 - 1, -(2 ** 53 - 1)) },
);
const float = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 0.5, 1, -1, 2, 1e-5) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("nan", "inf", "-inf", "1e30", "-0.0").map((text) => ({ kind: "float" as const, text })),
  },
);
const words = [
  "mean",
  "sum",
  "none",
  "constant",
  "reflect",
  "linear",
  "nearest",
  "trunc",
  "floor",
  "same",
  "valid",
  "tanh",
  "ij",
  "amax",
  "prod",
  "left",
  "",
];
const choice = (kind: "dtype" | "device" | "layout" | "memory format", ...texts: string[]) =>
  fc.constantFrom(...texts).map((text) => ({ kind, text }));

/**
 * Values of one type of a schema, or undefined where none can be passed (generators, storages, names of dimensions).
 */
function value(type: string, like: readonly number[]): fc.Arbitrary<ArgumentSpec> | undefined {
  if (type.endsWith("?")) {
    const inner = value(type.slice(0, -1), like);
    return inner && fc.oneof(fc.constant(null), inner);
  }
  const list = /^(.*)\[(\d*)\]$/.exec(type);
  if (list !== null) {
    const inner = value(list[1]!, like);
    const length =
      list[2] === ""
        ? { minLength: 0, maxLength: 4 }
        : { minLength: Number(list[2]) - 1, maxLength: Number(list[2]) + 1 };
    return (
      inner &&
      fc
        .array(inner, { ...length, minLength: Math.max(0, length.minLength) })
        .map((items) => ({ kind: "list" as const, items }))
    );
  }
  const simple: Readonly<Record<string, fc.Arbitrary<ArgumentSpec>>> = {
    Tensor: tensor(like),
    int: integer,
    SymInt: integer,
    float,
    Scalar: fc.oneof(integer, float, fc.boolean()),
    bool: fc.boolean(),
    str: fc.constantFrom(...words),
    ScalarType: choice("dtype", "float32", "float64", "int64", "bool", "bfloat16", "complex64"),
    Device: choice("device", "cpu", "cpu", "cpu", "cpu", "meta", "cuda"),
    Layout: choice("layout", "strided", "strided", "strided", "sparse", "mkldnn"),
    MemoryFormat: choice("memory format", "contiguous_format", "preserve_format", "channels_last", "channels_last_3d"),
  };
  return simple[type];
}

function parameters(
  schema: Schema,
  like: readonly number[],
): fc.Arbitrary<Readonly<Record<string, ArgumentSpec>>> | undefined {
  const fields: Record<string, fc.Arbitrary<ArgumentSpec>> = {};
  const required: string[] = [];
  for (const parameter of schema.parameters) {
    const made = value(parameter.type, like);
    if (made !== undefined) fields[parameter.name] = made;
    if (!mayBeLeftOut(parameter)) {
      if (made === undefined) return undefined;
      required.push(parameter.name);
    }
  }
  return fc.record(fields, { requiredKeys: required as never[] }) as fc.Arbitrary<
    Readonly<Record<string, ArgumentSpec>>
  >;
}

const mayBeLeftOut = ({ optional }: Parameter) => optional;

/** Calls of one operator, or undefined when a needed argument cannot be made. */
export function callsOf(operator: string, schemaText: string): fc.Arbitrary<CallSpec> | undefined {
  const schema = parseSchema(schemaText);
  if (parameters(schema, []) === undefined) return undefined;
  const order = schema.parameters.map(({ name }) => name);
  const named = schema.parameters.filter((parameter) => parameter.named).map(({ name }) => name);
  return shape
    .chain((like) =>
      fc.record({
        operator: fc.constant(operator),
        args: parameters(schema, like)!,
        named: fc.constant(named),
        backward: fc.boolean(),
      }),
    )
    .map((call) => ({
      ...call,
      args: Object.fromEntries(order.filter((name) => name in call.args).map((name) => [name, call.args[name]!])),
    }));
}
