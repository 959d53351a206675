// What a command on data says of an error that rests on measured times.
import { expect, test } from "vitest";
import { FilterBasisError } from "../errors/error.js";
import { onBusyMachine } from "./calibrate-together.js";

test("a speed-up out of reach names the busy machine as one reason, another error does not", () => {
  const slow = new FilterBasisError("does-not-pay", "out of reach", { field: "speedup", cures: ["less"] });
  expect(onBusyMachine(slow, "busy")).toMatchObject({ code: "does-not-pay", cures: ["less", "busy"] });
  expect(onBusyMachine(slow, undefined)).toBe(slow);
  const other = new FilterBasisError("budget-unreachable", "out of reach", { field: "keep-params" });
  expect(onBusyMachine(other, "busy")).toBe(other);
});
