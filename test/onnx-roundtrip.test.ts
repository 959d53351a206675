// Nothing is lost between reading and writing: ONNX's own conformance models, judged by ONNX Runtime.
import { describe, expect, test } from "vitest";
import { roundtrips } from "./onnx-roundtrip.js";
import { noTestdata, testCases } from "./onnx-testdata.js";

const cases = testCases();

describe("reading and writing ONNX's conformance models", () => {
  test.skipIf(cases.length === 0)(
    `${cases.length === 0 ? `(${noTestdata}) ` : ""}leaves the outputs of each as they were, bit for bit`,
    async () => {
      const results = await roundtrips(cases);
      const of = (outcome: string) => results.filter((result) => result.outcome === outcome);
      const counts = `${of("same").length} compute the same, ${of("opened").length} open alike and cannot be fed from here`;
      console.log(`${cases.length} models: ${counts}, ${of("not opened").length} are refused by ONNX Runtime as they are`);
      for (const { name, reason } of of("opened")) console.log(`  not run: ${name}: ${reason}`);
      expect([...of("different"), ...of("crashed")]).toEqual([]);
      expect(of("same").length + of("opened").length).toBeGreaterThanOrEqual(1000);
      expect(of("same").length).toBeGreaterThanOrEqual(995);
    },
    300_000,
  );
});
