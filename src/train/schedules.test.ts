import { describe, expect, it } from "vitest";
import { learningRate, type Schedule } from "./schedules.js";

const at = (schedule: Schedule, epoch: number, step = 0): number =>
  learningRate(schedule, 0.1, { epoch, step, stepsPerEpoch: 10, epochs: 300 });

describe("learningRate", () => {
  it("drops at the milestones as MultiStepLR does", () => {
    const schedule: Schedule = { name: "step", milestones: [150, 225], factor: 0.1, warmup: 0 };
    expect([149, 150, 224, 225].map((epoch) => at(schedule, epoch))).toEqual([
      0.1,
      0.1 * 0.1,
      0.1 * 0.1,
      0.1 * 0.1 ** 2,
    ]);
  });
  it("drops every so many epochs as StepLR does", () => {
    const schedule: Schedule = { name: "step", every: 200, factor: 0.1, warmup: 0 };
    expect(at(schedule, 199, 9)).toBe(0.1);
    expect(at(schedule, 200)).toBeCloseTo(0.01, 12);
  });
  it("follows half a cosine from the base rate to the minimum", () => {
    const schedule: Schedule = { name: "cosine", minimum: 0.01, per: "epoch", warmup: 0 };
    expect(at(schedule, 0)).toBeCloseTo(0.1, 12);
    expect(at(schedule, 150, 7)).toBeCloseTo(0.055, 12);
    expect(at(schedule, 300)).toBeCloseTo(0.01, 12);
  });
  it("grows linearly during the warm-up", () => {
    const schedule: Schedule = { name: "constant", warmup: 2 };
    expect(at(schedule, 0, 0)).toBeCloseTo(0.005, 12);
    expect(at(schedule, 1, 9)).toBeCloseTo(0.1, 12);
    expect(at(schedule, 2, 0)).toBe(0.1);
  });
});
