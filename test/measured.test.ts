// Metrics that others measured, measured again: CIFAR-10 errors and Set5/Set14 PSNR of networks trained elsewhere.
// Minutes; on request only.
import { describe, expect, test } from "vitest";
import { evaluateModel } from "../src/evaluate/evaluate.js";
import { shared } from "./shared.js";

const wanted = process.env.FILTERBASIS_MEASURED !== undefined && shared("data/models") !== undefined;
const why = wanted ? "" : ": only with FILTERBASIS_MEASURED set and the shared reference data (npm run test:measured)";
const model = (name: string) => shared(`data/models/${name}.onnx`)!;
const minutes = (count: number) => count * 60_000;

describe.skipIf(!wanted)(`top-1 error on CIFAR-10 to 0.02 %${why}`, () => {
  test.each([
    ["resnet20", 8.27],
    ["resnet20-bn", 8.27],
    ["resnet56", 6.61],
    ["resnet56-bn", 6.61],
  ] as const)(
    "%s: %d",
    async (name, error) => {
      const { top1Error } = await evaluateModel(model(name), {
        data: "cifar10",
        normalize: "imagenet",
        latency: false,
      });
      expect(Math.abs(top1Error! - error)).toBeLessThanOrEqual(0.02);
    },
    minutes(20),
  );
});

describe.skipIf(!wanted)(`PSNR to 0.01 dB of what is stated to two places${why}`, () => {
  const stated = [
    ["imdn_x4", 4, 32.21, 28.59],
    ["rfdn_x4", 4, 32.16, 28.65],
    ["rlfn_x4", 4, 32.1, 28.6],
    ["imdn_x2", 2, 38.0, 33.63],
    ["vdsr", 2, 37.58, 33.06],
    ["vdsr", 3, 33.74, 29.9],
    ["vdsr", 4, 31.43, 28.14],
  ] as const;
  test.each(stated)(
    "%s x%i: Set5 %d, Set14 %d",
    async (name, scale, set5, set14) => {
      for (const [set, psnr] of [
        ["set5", set5],
        ["set14", set14],
      ] as const) {
        const got = await evaluateModel(model(name), { data: shared(`data/${set}`)!, scale, latency: false });
        expect(Math.abs(got.psnr! - psnr), set).toBeLessThan(0.01);
      }
    },
    minutes(60),
  );
});
