// A page keeps no calibration: what one found stays in memory as long as it is needed.
import type * as original from "../../src/calibrate/cache.js";

export const openCalibrationCache: typeof original.openCalibrationCache = () => undefined;

export const calibrationsFolder: typeof original.calibrationsFolder = () => "";
