// Nothing is lost between reading and writing: ONNX's own conformance models, evaluated by ONNX Runtime.
import { describe, expect, test } from "vitest";
import { writeResult } from "../bench/result.js";
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
      console.log(
        `${cases.length} models: ${counts}, ${of("not opened").length} are refused by ONNX Runtime as they are`,
      );
      for (const { name, reason } of of("opened")) console.log(`  not run: ${name}: ${reason}`);
      if (process.env.FILTERBASIS_RECORD) {
        await writeResult("onnx-roundtrip", "npm run test:onnx-roundtrip", {
          what: "ONNX's conformance models (libonnx-testdata), read and written field by field, run in ONNX Runtime beside the originals",
          models: cases.length,
          outputsTheSameBitForBit: of("same").length,
          openedAlikeButNotRun: of("opened").map(({ name, reason }) => ({ name, reason })),
          different: of("different").length,
          crashed: of("crashed").length,
          refusedByOnnxRuntimeAsTheyAre: of("not opened").length,
        });
      }
      expect([...of("different"), ...of("crashed")]).toEqual([]);
      expect(of("same").length + of("opened").length).toBeGreaterThanOrEqual(1000);
      expect(of("same").length).toBeGreaterThanOrEqual(995);
    },
    300_000,
  );
});
