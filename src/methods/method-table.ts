// A table of methods, and the one way from a name in it and options to a pass.
import { FilterBasisError } from "../errors/error.js";
import type { Pass } from "../graph/types.js";
import type { Method } from "./method.js";
import { checkedOptions } from "./options.js";

type Table = Readonly<Record<string, Method>>;

/** Every method stands under its own name. */
export const table = <T extends { readonly [Name in keyof T]: Method<Name & string> }>(all: T): T => all;

/** @throws FilterBasisError `not-found` */
export function methodIn(methods: Table, name: string): Method {
  if (Object.hasOwn(methods, name)) return methods[name]!;
  throw new FilterBasisError("not-found", "there is no such method", {
    field: "method",
    expected: Object.keys(methods).join(", "),
    got: name,
  });
}

/** @throws FilterBasisError `not-found` (no such method), `usage` (its options) */
export function passIn(methods: Table, name: string, given: object, known: object): Pass {
  const method = methodIn(methods, name);
  const options = { ...checkedOptions(name, method.options, given), ...known };
  return (graph) => method.apply(graph, options);
}
