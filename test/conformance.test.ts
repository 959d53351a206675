// The interpreter computes what ONNX's conformance data says: every model that uses only the operators and types that
// must work. `npm run test:conformance` runs all models, those beyond the list too.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readModel } from "../src/formats/onnx/index.js";
import { beyond, conformance } from "./conformance.js";
import { noTestdata, testCases } from "./onnx-testdata.js";

/** Models that cannot match, and why. */
const known = new Map([
  ["node/test_training_dropout", "drops by NumPy's random generator"],
  ["node/test_training_dropout_default", "drops by NumPy's random generator"],
  ["node/test_training_dropout_default_mask", "drops by NumPy's random generator"],
  ["node/test_training_dropout_mask", "drops by NumPy's random generator"],
  [
    "node/test_resize_downsample_scales_cubic_align_corners",
    "ONNX Runtime, too, aligns the corners of the rounded size",
  ],
  [
    "node/test_resize_downsample_scales_linear_align_corners",
    "ONNX Runtime, too, aligns the corners of the rounded size",
  ],
]);

const required = testCases().filter(
  ({ model }) => beyond(readModel(new Uint8Array(readFileSync(model)), { verify: false })) === undefined,
);

test.skipIf(required.length === 0)(
  `${required.length === 0 ? `(${noTestdata}) ` : ""}the interpreter matches at least 590 of ONNX's conformance models, and all but those known not to`,
  async () => {
    const verdicts = await conformance(required);
    const matched = verdicts.filter(({ outcome }) => outcome === "matched");
    console.log(`${verdicts.length} ran, ${matched.length} matched`);
    const rest = verdicts.filter(({ outcome }) => outcome !== "matched");
    for (const { name, outcome, reason } of rest)
      console.log(`  ${name}: ${outcome}: ${reason} (${known.get(name) ?? "not known"})`);
    expect(rest.map(({ name }) => name).sort()).toEqual([...known.keys()].sort());
    expect(matched.length).toBeGreaterThanOrEqual(590);
  },
  300_000,
);
