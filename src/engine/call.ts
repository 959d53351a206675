// Any operator of libtorch by name: arguments in, tensors out.
import { FilterBasisError } from "../errors/error.js";
import { engineError } from "./errors.js";
import { type Handle, loadEngine, type NativeResult, type OperatorHandle } from "./native.js";
import { Tensor } from "./tensor.js";

/** What an operator takes; a plain object at the end names arguments. */
export type Argument =
  | Tensor
  | number
  | bigint
  | boolean
  | string
  | null
  | undefined
  | readonly Argument[]
  | { readonly [name: string]: Argument };

/** What an operator gives. */
export type Value = Tensor | number | bigint | boolean | string | null | undefined | readonly Value[];

/** An operator that is looked up on its first call. */
export type Operator = (...args: Argument[]) => Value;

const operators = new Map<string, OperatorHandle>();

/**
 * Calls an operator of ATen: `call("conv2d", x, w)`, `call("add.Tensor", a, b, { alpha: 2 })`. Without an overload the arguments choose one.
 * @returns its one tensor @throws FilterBasisError `engine`, naming the operator and its schema
 */
export function call(name: string, ...args: Argument[]): Tensor {
  return oneTensor(name, invoke(name, args));
}

/** Calls an operator and gives all its results as an array: none, one, or several. */
export function callAll(name: string, ...args: Argument[]): readonly Value[] {
  const result = invoke(name, args);
  return Array.isArray(result) ? result : result === undefined ? [] : [result];
}

/** Checks that a result is one tensor. */
export function oneTensor(name: string, result: Value): Tensor {
  if (result instanceof Tensor) return result;
  throw new FilterBasisError("engine", "the operator does not give one tensor: use callAll", {
    op: name,
    got: Array.isArray(result) ? "several" : typeof result,
  });
}

/** Calls an operator and gives what it gives: nothing, one result, or an array of several. */
export function invoke(name: string, args: readonly Argument[]): Value {
  const operator = operators.get(name) ?? lookUp(name);
  try {
    return toValue(loadEngine().call(operator, ...args.map(fromArgument)));
  } catch (error) {
    throw engineError(error, name, () => schemas(name));
  }
}

/** The schemas of an operator's overloads, as libtorch prints them. */
export function schemas(name: string): readonly string[] {
  return loadEngine().schemas(operators.get(name) ?? lookUp(name));
}

function lookUp(name: string): OperatorHandle {
  const dot = name.indexOf(".");
  const base = dot < 0 ? name : name.slice(0, dot);
  const engine = loadEngine();
  try {
    // "mul.": the overload without a name.
    const found = engine.find(base.includes("::") ? base : `aten::${base}`, dot < 0 ? undefined : name.slice(dot + 1));
    operators.set(name, found);
    return found;
  } catch (error) {
    throw engineError(error, name);
  }
}

function fromArgument(argument: Argument): unknown {
  if (typeof argument !== "object" || argument === null) return argument;
  if (argument instanceof Tensor) return argument.handle;
  if (Array.isArray(argument)) return argument.map(fromArgument);
  if (Object.getPrototypeOf(argument) === Object.prototype)
    return Object.fromEntries(Object.entries(argument).map(([name, value]) => [name, fromArgument(value as Argument)]));
  throw new Error(
    `an argument must be a tensor, number, string, boolean, null or an array of them, got ${Object.prototype.toString.call(argument)}`,
  );
}

function toValue(result: NativeResult): Value {
  if (typeof result !== "object" || result === null) return result;
  if (Array.isArray(result)) return result.map(toValue);
  return new Tensor(result as Handle);
}
