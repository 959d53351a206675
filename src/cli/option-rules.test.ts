import { expect, test } from "vitest";
import { isError } from "../errors/error.js";
import { checkRules, type OptionRule } from "./option-rules.js";

const rules: readonly OptionRule[] = [
  { oneOf: ["keep-params", "keep-macs", "basis"], why: "give one budget" },
  { option: "undo", excludes: ["basis", "data"], why: "it compresses nothing" },
  { option: "epochs", needs: ["data"], why: "it is about fine-tuning" },
  { option: "splits", excludes: ["method=svd"], why: "that method has none" },
  { option: "threads", excludes: ["times=false"], why: "nothing is timed" },
  { option: "set", needs: ["NAME"], why: "name a network" },
];

function refusal(given: Record<string, string>): string {
  try {
    checkRules(new Map(Object.entries(given)), rules);
    return "";
  } catch (error) {
    if (isError(error, "usage")) return error.message;
    throw error;
  }
}

test.each([
  [{ "keep-params": "1", basis: "2" }, "--keep-params and --basis exclude each other: give one budget"],
  [{ undo: "true", data: "x" }, "--undo and --data exclude each other"],
  [{ epochs: "3" }, "--epochs needs --data"],
  [{ splits: "3", method: "svd" }, "--splits and --method svd exclude each other"],
  [{ threads: "3", times: "false" }, "--threads and --no-times exclude each other"],
  [{ set: "a=1" }, "--set needs NAME"],
])("%j is refused", (given, message) => expect(refusal(given as unknown as Record<string, string>)).toContain(message));

test.each([
  {},
  { "keep-params": "1" },
  { undo: "false", data: "x" },
  { epochs: "3", data: "x" },
  { splits: "3", method: "basis" },
  { threads: "3", times: "true" },
  { set: "a=1", NAME: "vgg16" },
])("%j is taken", (given) => expect(refusal(given as Record<string, string>)).toBe(""));
