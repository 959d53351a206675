// The web's runtime keeps no profile.
import type * as original from "../../src/runtime/operator-times.js";

export const operatorTimes: typeof original.operatorTimes = async () => [];
