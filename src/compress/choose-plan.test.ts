import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { photoNetwork, writePhotos } from "../../test/photo-network.js";
import { openData } from "../data/table.js";
import { findInputs } from "../runtime/index.js";
import { calibrationData } from "./calibration-data.js";
import { compareReported } from "./choose-plan.js";

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "filterbasis-choose-"));
  await writePhotos(folder, 12);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const graph = photoNetwork(16, 24);
async function reported(limit: number, budget: { readonly keepParams?: number }) {
  const data = await calibrationData(graph, await openData(folder), await findInputs(graph), { limit, images: 8 });
  const { inputs, fitted, chosen } = await compareReported({ graph }, graph, data, { budget, threads: 1 }, {});
  return { inputs, fitted, chosen };
}

test("without a budget the loss is reported on other images than those that chose the plan", async () => {
  expect(await reported(12, {})).toEqual({ inputs: 2, fitted: false, chosen: false });
  expect(await reported(12, { keepParams: 0.5 })).toEqual({ inputs: 4, fitted: false, chosen: false });
});

test("with one image held out it chooses and reports, with none those that were fitted to do", async () => {
  expect(await reported(4, {})).toEqual({ inputs: 1, fitted: false, chosen: true });
  expect(await reported(3, {})).toEqual({ inputs: 3, fitted: true, chosen: true });
});
