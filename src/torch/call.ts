// Any operator of libtorch by name: arguments in, tensors out.
import { FilterBasisError } from "../errors/error.js";
import { type Argument, convert, type ListKind, type Operator } from "./arguments.js";
import { engineError } from "./errors.js";
import { giveHandle, takeHandle } from "./handles.js";
import { type Handle, loadEngine, type NativeEngine, type NativeResult, type OperatorHandle } from "./native.js";
import type { OperatorBindings } from "./operator-bindings.js";
import { unowned } from "./scope.js";
import { Tensor } from "./tensor.js";

export type { Argument } from "./arguments.js";

/** What an operator gives. */
export type Value = Tensor | number | bigint | boolean | string | null | undefined | readonly Value[];

/** The names of the bound operators. */
export type BoundOperator = keyof OperatorBindings;

/** What an operator takes: as its schema says for bound operators, anything for the others. */
export type ArgumentsOf<N extends string> = N extends BoundOperator
  ? Parameters<OperatorBindings[N]>
  : readonly Argument[];

/** A function that calls one bound operator; the operator is looked up on the first call. */
export function operator<N extends BoundOperator>(name: N): OperatorBindings[N] {
  let found: Operator | undefined;
  const call = (...args: Argument[]): Value => run((found ??= exactly(name)), args);
  // The signature is libtorch's own: it was generated from the schema by which the addon converts arguments and
  // results.
  return call as unknown as OperatorBindings[N];
}

/**
 * The overload that the bindings mean: a name alone is the overload without a name, not whichever the arguments would
 * choose.
 */
function exactly(name: BoundOperator): Operator {
  return { ...lookUp(name.includes(".") ? name : `${name}.`), name };
}

const operators = new Map<string, Operator>();

/**
 * Calls an operator of ATen: `call("conv2d", x, w)`, `call("add.Tensor", a, b, { alpha: 2 })`. Without an overload the
 * arguments choose one. @returns its one tensor
 * @throws FilterBasisError `engine`, naming the operator and its schema
 */
export function call<N extends string>(name: N, ...args: ArgumentsOf<N>): Tensor {
  return oneTensor(name, invoke(name, args as Argument[]));
}

/**
 * Calls an operator and gives all its results as an array: none, one, or several.
 * @example
 * ```ts
 * import { call, callAll, engineInfo, fromArray, gradients, hasCuda, parseDevice, setThreads, TensorScope } from "filterbasis";
 *
 * setThreads(1);
 * console.log(engineInfo().version, parseDevice(hasCuda() ? "cuda:0" : "cpu"));
 * using scope = new TensorScope();
 * const x = fromArray(new Float32Array([3, 1, 2]), [3]);
 * const [sorted, indices] = callAll("sort", x);
 * console.log(sorted.floats(), indices.data());
 * x.requiresGrad = true;
 * console.log(gradients([call("sum", call("mul.Tensor", x, x))], [x])[0].floats());
 * ```
 */
export function callAll<N extends string>(name: N, ...args: ArgumentsOf<N>): readonly Value[] {
  const result = invoke(name, args as Argument[]);
  return Array.isArray(result) ? result : result === undefined ? [] : [result];
}

/** Checks that a result is one tensor. */
function oneTensor(name: string, result: Value): Tensor {
  if (result instanceof Tensor) return result;
  throw new FilterBasisError("engine", "the operator does not give one tensor: use callAll", {
    op: name,
    got: Array.isArray(result) ? "several" : typeof result,
  });
}

/**
 * Calls an operator and gives what it gives: nothing (an empty array), one result, or an array of several. The array of
 * arguments is used up.
 */
function invoke(name: string, args: Argument[]): Value {
  return run(operators.get(name) ?? lookUp(name), args);
}

/** Calls an operator. One that works in place gives the very tensor back that it was given. */
function run(operator: Operator, args: Argument[]): Value {
  const first = args[0];
  const out = takeHandle();
  let result: NativeResult;
  try {
    const given = convert(operator, args);
    result = crossing(loadEngine(), operator.handle, out, given);
  } catch (error) {
    giveHandle(out);
    throw engineError(error, operator.name, () => loadEngine().schemas(operator.handle));
  }
  if (result === undefined) return new Tensor(out);
  giveHandle(out);
  return first instanceof Tensor && result === first.handle ? first : toValue(result);
}

/**
 * The crossing. Spreading an array costs about 0.1 us, as much as the rest of the way here; most operators take few
 * arguments.
 */
function crossing(
  { call }: NativeEngine,
  operator: OperatorHandle,
  out: Handle,
  given: readonly unknown[],
): NativeResult {
  switch (given.length) {
    case 1:
      return call(operator, out, given[0]);
    case 2:
      return call(operator, out, given[0], given[1]);
    case 3:
      return call(operator, out, given[0], given[1], given[2]);
    case 4:
      return call(operator, out, given[0], given[1], given[2], given[3]);
    case 5:
      return call(operator, out, given[0], given[1], given[2], given[3], given[4]);
    case 6:
      return call(operator, out, given[0], given[1], given[2], given[3], given[4], given[5]);
    default:
      return call(operator, out, ...given);
  }
}

/**
 * Calls an operator on the engine's private thread, so that the event loop lives meanwhile; calls run one after
 * another. Tensors that it uses may be disposed at once but must not be changed before it is done. Its results belong
 * to no scope. For the odd long call: a whole training belongs into a worker thread.
 */
export async function callAsync<N extends string>(name: N, ...args: ArgumentsOf<N>): Promise<Value> {
  const operator = lookUp(name);
  try {
    const results = await loadEngine().callAsync(
      operator.handle,
      ...convert(operator, [...(args as readonly Argument[])]),
    );
    return unowned(() => toValue(results));
  } catch (error) {
    throw engineError(error, name, () => loadEngine().schemas(operator.handle));
  }
}

/** The schemas of an operator's overloads, as libtorch prints them. */
export function schemas(name: string): readonly string[] {
  return loadEngine().schemas((operators.get(name) ?? lookUp(name)).handle);
}

/** An operator by name, with its overload ("add.Tensor") or without ("add"). */
function lookUp(name: string): Operator {
  const known = operators.get(name);
  if (known !== undefined) return known;
  const dot = name.indexOf(".");
  const base = dot < 0 ? name : name.slice(0, dot);
  const engine = loadEngine();
  try {
    // "mul.": the overload without a name.
    const handle = engine.find(base.includes("::") ? base : `aten::${base}`, dot < 0 ? undefined : name.slice(dot + 1));
    const operator: Operator = { name, handle, ...described(engine.parameters(handle)) };
    operators.set(name, operator);
    return operator;
  } catch (error) {
    throw engineError(error, name);
  }
}

/** What the addon says of an operator's parameters. */
function described(parameters: ReturnType<NativeEngine["parameters"]>): Omit<Operator, "name" | "handle"> {
  if (parameters === null) return { parameters: null, positional: 0, lists: [] };
  const [names, positional, tensors, integers] = parameters;
  const kindAt = (place: number): ListKind =>
    tensors.includes(place) ? "tensors" : integers.includes(place) ? "integers" : undefined;
  return {
    parameters: names,
    positional,
    lists: tensors.length + integers.length > 0 ? names.map((_, i) => kindAt(i)) : [],
  };
}

function toValue(result: NativeResult): Value {
  if (typeof result !== "object" || result === null) return result;
  if (Array.isArray(result)) return result.map(toValue);
  return new Tensor(result as Handle);
}
