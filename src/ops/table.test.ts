import { describe, expect, it } from "vitest";
import { makeNode } from "../graph/attributes.js";
import { type Operator, placesOf } from "./operator.js";
import { operatorOf, standard } from "./table.js";

const entries = Object.entries<Operator>(standard);

describe("the table of operators", () => {
  it("knows the standard domain, and nothing of operators of others with the same name", () => {
    expect(operatorOf(makeNode("Conv", [], []))).toBe(standard.Conv);
    expect(operatorOf({ ...makeNode("Conv", [], []), domain: "ai.onnx" })).toBe(standard.Conv);
    expect(operatorOf({ ...makeNode("Conv", [], []), domain: "mine" })).toBe(undefined);
    expect(operatorOf(makeNode("toString", [], []))).toBe(undefined);
  });

  it("takes a model's own filterbasis::BasisConv, which lacks the attributes, for unknown", () => {
    expect(operatorOf({ ...makeNode("BasisConv", [], []), domain: "filterbasis" })).toBe(undefined);
  });

  it("names no operand that its operator cannot have", () => {
    for (const [op, { operands = [], signature }] of entries)
      expect(operands.length, op).toBeLessThanOrEqual(signature?.inputs[1] ?? Number.POSITIVE_INFINITY);
  });

  it("says for every layer where its weight is", () => {
    const without = entries.filter(([, one]) => one.macs && placesOf(one, "weight", "factor").length === 0);
    expect(without.map(([op]) => op)).toEqual([]);
  });

  it("follows no value whose shape is not known", () => {
    expect(entries.filter(([, one]) => one.value && !one.shapes).map(([op]) => op)).toEqual([]);
  });
});
