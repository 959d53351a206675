// Tests that need libtorch skip, with the reason, where it is not there.
import { describe } from "vitest";
import { unloadableReason } from "../src/engine/index.js";

const reason = unloadableReason();

/** A suite that runs where the engine can be loaded. */
export const describeEngine: (name: string, tests: () => void) => void =
  reason === undefined ? describe : (name, tests) => describe.skip(`${name} (skipped: ${reason})`, tests);
