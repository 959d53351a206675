// Pieces of networks in ONNX Runtime.
import { expect, test, vi } from "vitest";
import { oneConv } from "../../test/small-graphs.js";
import { FilterBasisError } from "../errors/error.js";
import { openSession } from "../runtime/open.js";
import { ortEngine } from "./ort-engine.js";

vi.mock("../runtime/open.js", { spy: true });

const graph = oneConv({ outChannels: 4, inChannels: 3, kernel: [3, 3] });
const levels = () => vi.mocked(openSession).mock.calls.map(([, how]) => how?.optimisation ?? "all");
const refusing = (code: "runtime" | "unsupported") =>
  vi.mocked(openSession).mockReset().mockRejectedValueOnce(new FilterBasisError(code, "its rewriting fails"));

test("a piece that the runtime fails to rewrite runs as it is", async () => {
  refusing("runtime");
  const opened = await ortEngine().open(graph);
  await opened.close();
  expect(levels()).toEqual(["all", "disabled"]);
});

test("what the runtime does not run as it is either, or has no operator for, is told as it was", async () => {
  refusing("runtime").mockRejectedValueOnce(new FilterBasisError("runtime", "nor this"));
  await expect(ortEngine().open(graph)).rejects.toMatchObject({ problem: "its rewriting fails" });
  refusing("unsupported");
  await expect(ortEngine().open(graph)).rejects.toMatchObject({ code: "unsupported" });
  expect(levels()).toEqual(["all"]);
});
