import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { describeEngine } from "../../test/engine.js";
import { engineInfo, packageRoot, schemas } from "./index.js";
import * as ops from "./ops.js";
import { parameterType, parseSchema, resultType, signature } from "./schema.js";

const bound = readFileSync(join(packageRoot(), "src/torch/operator-bindings.ts"), "utf8");
const generatedFrom = /Generated from libtorch (\S+)/.exec(bound)?.[1];
const written = new Map([...bound.matchAll(/^ {2}"([\w.]+)": (.*);$/gm)].map(([, name, text]) => [name!, text!]));

describeEngine("the typed bindings", () => {
  it("has a function for each of its signatures", () => {
    expect(written.size).toBeGreaterThan(150);
    expect(Object.keys(ops)).toHaveLength(written.size);
  });

  // libtorch adds arguments at the end over the years; those that the bindings pass must stay as they are.
  it.each([...written])("types %s as the loaded libtorch's schema does", (name, text) => {
    const schema = parseSchema(schemas(name.includes(".") ? name : `${name}.`)[0]!);
    const known = new Set([...text.matchAll(/(\w+)\??:/g)].map(([, word]) => word));
    const camel = (word: string) => word.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    const parameters = schema.parameters.filter(
      (one) => !one.optional || known.has(one.name) || known.has(camel(one.name)),
    );
    const loaded = signature({ ...schema, parameters });
    // Exactly, for the version that the bindings were generated from; elsewhere a Scalar may have taken the place of an
    // integer.
    if (generatedFrom === engineInfo().version) expect(loaded).toBe(text);
    else expect(loaded.replaceAll("number | boolean", "number")).toBe(text.replaceAll("number | boolean", "number"));
  });

  it("reads schemas", () => {
    const schema = parseSchema(
      'aten::f.x(Tensor(a!) self, int[2] size=[1, 2], *, str? mode="a, b", Generator? generator=None) -> (Tensor(a!) values, Tensor[])',
    );
    expect(schema.parameters.map(({ name, named, optional }) => [name, named, optional])).toEqual([
      ["self", false, false],
      ["size", false, true],
      ["mode", true, true],
      ["generator", true, true],
    ]);
    expect(signature(schema)).toBe(
      "(self: Tensor, size?: number | readonly number[], named?: { mode?: string | null | undefined }) => readonly [Tensor, readonly Tensor[]]",
    );
    expect(parameterType("Tensor?[]")).toBe("readonly (Tensor | null)[]");
    expect(resultType([])).toBe("void");
  });
});
