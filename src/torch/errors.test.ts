import { expect, it } from "vitest";
import { engineError } from "./errors.js";

it("says of a device without room what it lacks and what to do, not how libtorch's allocator is set up", () => {
  const message =
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 79.19 GiB. If reserved but unallocated memory is large try";
  const error = engineError(Object.assign(new Error(message), { code: "out-of-memory" }), "conv2d");
  expect(error).toMatchObject({ code: "out-of-memory", place: { op: "conv2d" } });
  expect(error.problem).toBe("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 79.19 GiB.");
  expect(error.cures[0]).toContain("batch");
});
