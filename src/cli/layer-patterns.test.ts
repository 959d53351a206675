import { expect, test } from "vitest";
import type { FilterBasisError } from "../errors/error.js";
import { checkLayerPatterns } from "./layer-patterns.js";

const names = ["/stem/Conv", "/layer1/conv1/Conv", "/layer1/conv2/Conv", "/layer2/conv1/Conv", "/head/Conv"];

function refusal(option: string, ...patterns: string[]): FilterBasisError {
  try {
    checkLayerPatterns({ only: ["*"], [option]: patterns }, names);
  } catch (error) {
    return error as FilterBasisError;
  }
  throw new Error("nothing was refused");
}

test("patterns that match are taken, also one that matches many and one without a star", () => {
  checkLayerPatterns({ only: ["/layer1/*", "/head/Conv"], skip: ["*conv?/*"], layer: [] }, names);
});

test.each([
  ["only", "layer1", "/layer1/conv1/Conv, /layer1/conv2/Conv"],
  ["skip", "/haed/Conv", "/head/Conv"],
  ["layer", "/STEM/*", "/stem/Conv"],
])("--%s %s is refused, and the names that come near are told", (option, pattern, near) => {
  const error = refusal(option, "*", pattern);
  expect(error).toMatchObject({ code: "not-found", place: { field: pattern } });
  expect(error.message).toContain(`--${option} matches no layer; did you mean ${near}?`);
});

test("where nothing comes near, the model's layers are told", () => {
  const error = refusal("only", "something else entirely");
  expect(error.message).not.toContain("did you mean");
  expect(error.cures.join()).toContain("/stem/Conv, /layer1/conv1/Conv");
});

test("special characters of regular expressions stand for themselves", () => {
  expect(refusal("only", "/stem/(Conv").message).toContain("matches no layer");
});
