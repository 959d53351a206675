import { expect, test } from "vitest";
import { smallGraph } from "../../test/small-graphs.js";
import { ortEngine } from "../calibrate/ort-engine.js";
import { FilterBasisError } from "../errors/error.js";
import { elseBy } from "./best-engine.js";

test("a graph that the first engine does not run is run by the second; other errors are told", async () => {
  const opened: string[] = [];
  const failing = (code: "unsupported" | "io") => ({
    ...ortEngine(),
    open: () => Promise.reject(new FilterBasisError(code, "no")),
  });
  const second = {
    ...ortEngine(),
    open: () => {
      opened.push("second");
      return Promise.resolve({ run: () => Promise.resolve({}), close: () => Promise.resolve() });
    },
  };
  const graph = smallGraph({ nodes: [], initializers: {}, outputs: [] });
  await elseBy(failing("unsupported"), second).open(graph);
  expect(opened).toEqual(["second"]);
  await expect(elseBy(failing("io"), second).open(graph)).rejects.toMatchObject({ code: "io" });
});
