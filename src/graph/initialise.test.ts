// Initialisers: the moments that their rules state, and values that belong to the name and the seed alone.
import { describe, expect, it } from "vitest";
import { type InitRule, initialiser, type Parameter, type Role } from "./initialise.js";
import { floats } from "./values.js";

/** A 3 x 3 convolution from 64 channels, in 4 groups, to 128. */
const conv: Omit<Parameter, "role"> = {
  name: "conv.weight",
  dims: [128, 16, 3, 3],
  fanIn: 144,
  channelsIn: 576,
  channelsOut: 1152,
};
const draw = (rule: InitRule, role: Role, seed = 1, parameter = conv) =>
  floats(initialiser(rule, seed)({ ...parameter, role }));
const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const deviation = (values: Float32Array) =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

describe("initialisers", () => {
  it.each([
    ["default", "conv", 1 / Math.sqrt(144)],
    ["default", "conv-bias", 1 / Math.sqrt(144)],
    ["default", "linear", 1 / Math.sqrt(144)],
    ["default", "basis", Math.sqrt(6 / 144)],
    ["kaiming", "conv-bias", 1 / Math.sqrt(144)],
    ["kaiming", "basis", Math.sqrt(6 / 144)],
    ["kaiming-uniform", "conv", Math.sqrt(6 / 144)],
  ] as const)("%s fills %s uniformly up to its bound", (rule, role, bound) => {
    const values = draw(rule, role);
    expect(largest(values)).toBeLessThanOrEqual(Math.fround(bound));
    expect(largest(values)).toBeGreaterThan(0.999 * bound); // of 18,432 draws
    expect(deviation(values) / (bound / Math.sqrt(3))).toBeCloseTo(1, 1);
  });

  it.each([
    ["kaiming", "conv", Math.sqrt(2 / 576)],
    ["kaiming", "linear", Math.sqrt(1 / 576)],
    ["vgg", "conv", Math.sqrt(2 / 1152)],
    ["vgg", "linear", 0.01],
  ] as const)("%s draws %s from a normal distribution of its deviation", (rule, role, expected) => {
    // Four standard errors of a deviation from 18,432 draws.
    expect(Math.abs(deviation(draw(rule, role)) / expected - 1)).toBeLessThan(4 / Math.sqrt(2 * 18_432));
    expect(largest(draw(rule, role))).toBeGreaterThan(3 * expected);
  });

  it.each([
    ["vgg", "conv-bias", 0],
    ["vgg", "linear-bias", 0],
    ["kaiming", "linear-bias", 0],
    ["default", "basis-bias", 0],
    ["default", "norm-scale", 1],
    ["default", "norm-shift", 0],
    ["default", "running-variance", 1],
    ["default", "slope", 0.25],
    ["zeros", "conv", 0],
  ] as const)("%s sets %s to %d", (rule, role, value) => {
    expect(new Set(draw(rule, role))).toEqual(new Set([value]));
  });

  it("depends on seed and name, on nothing else", () => {
    const few = (seed = 1, parameter = conv) => [...draw("default", "conv", seed, parameter).subarray(0, 16)];
    expect(few()).toEqual(few());
    expect(few(2)).not.toEqual(few());
    expect(few(1, { ...conv, name: "other" })).not.toEqual(few());
  });

  it("refuses a rule that it does not know", () => {
    expect(() => initialiser("xavier" as InitRule)).toThrow(/unknown initialiser/);
  });
});
