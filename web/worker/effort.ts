// How much the page looks at and tries: a visitor waits, and a tab has little memory.
import type { Effort } from "../../src/compress/effort.js";

/** Of what layers see, held at once. */
export const momentBytes = 2 ** 29;

/** TypeScript alone takes a minute for what libtorch takes seconds for. */
export const effort: Effort = { places: 2 ** 13, largePatch: 128, memory: momentBytes, probing: 5e10 };

/** Of whole networks: the most rounds, and milliseconds after which they end. */
export const timing = { rounds: 9, budget: 2500, patience: 4000 };
