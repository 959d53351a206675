// Where ONNX Runtime is not installed, sizes are what shapes tell, and that is said.
import { expect, test, vi } from "vitest";
import { oneConv } from "../../test/small-graphs.js";
import { FilterBasisError } from "../errors/error.js";
import { findInputs } from "./find-inputs.js";

vi.mock("./open.js", () => ({
  openSession: () => Promise.reject(new FilterBasisError("runtime-missing", "onnxruntime-node cannot be loaded")),
}));

test("without a runtime the sizes are those that shapes allow", async () => {
  const found = await findInputs(oneConv({ outChannels: 4, inChannels: 3, kernel: [3, 3] }));
  expect(found).toMatchObject({ guessed: true, untried: "onnxruntime-node cannot be loaded" });
  expect(found.shapes.get("x")).toEqual([1, 3, 64, 64]);
});
