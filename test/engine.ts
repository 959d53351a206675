// Tests that need libtorch skip, with the reason, where it is not there.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe } from "vitest";
import { liveTensors, unloadableReason } from "../src/torch/index.js";

const reason = unloadableReason();

/** A suite that runs where the engine can be loaded. */
export const describeEngine: (name: string, tests: () => void) => void =
  reason === undefined ? describe : (name, tests) => describe.skip(`${name} (skipped: ${reason})`, tests);

/**
 * Tensors alive, once those that earlier tests dropped without disposing have been collected: so that none of them goes
 * while a test counts.
 */
export function liveTensorsAfterCollection(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return liveTensors();
}
