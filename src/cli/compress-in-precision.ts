// `compress --data --precision`: factors in floats first, then the precision of every layer; the original in eight bits
// takes part where nothing asks for factors.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CalibrationData } from "../compress/calibration-data.js";
import type { PlanOnDataOptions } from "../compress/choose-plan.js";
import type { CalibratedResult } from "../compress/compress-calibrated.js";
import type { Given, JobOptions } from "../compress/job.js";
import { isOutOfReach } from "../compress/out-of-reach.js";
import { isError } from "../errors/error.js";
import type { reportOf } from "./calibrated-report.js";
import { eightBitReport, eightBitText, type PrecisionArguments, quantizeFile } from "./eight-bits.js";
import type { Context } from "./frame.js";
import { keepReport } from "./kept-reports.js";
import { given } from "./values.js";

/** A network with factors in floats, and how it is told. */
interface InFloats {
  readonly result: CalibratedResult;
  readonly json: ReturnType<typeof reportOf>;
  readonly text: string;
}

export interface InPrecision {
  /** `fixed`: a layout was asked for. */
  readonly asked: PlanOnDataOptions & { readonly fixed?: boolean };
  readonly place: Pick<JobOptions, "runtime" | "threads" | "latencies">;
  readonly args: PrecisionArguments;
  /** Which model and images these were. */
  readonly source: object;
  readonly compressed: (to: string) => Promise<InFloats>;
}

export async function inPrecision(
  original: Given,
  output: string,
  images: CalibrationData,
  { asked, place, args, source, compressed }: InPrecision,
  context: Context,
) {
  const folder = await mkdtemp(join(tmpdir(), "filterbasis-float-"));
  const float = join(folder, "float.onnx");
  const { count } = images.images;
  const { excluded, pays, together } = rulesOf(asked, args);
  const eightBits = (model: Given, beside: Parameters<typeof quantizeFile>[6]) =>
    quantizeFile(model, output, images, args, place, context, { ...beside, ...pays });
  try {
    const made = await compressed(float).catch((error: unknown) => {
      if (excluded !== undefined || !isError(error, "does-not-pay", "budget-unreachable")) throw error;
      return error;
    });
    if (made instanceof Error) {
      context.note(`${made.message}: the original is tried in eight bits alone`);
      // Where neither pays, the factors' answer names what can be reached.
      const eight = await eightBits(original, {}).catch((error: unknown) => {
        throw isError(error, "does-not-pay") && isOutOfReach(made) ? made : error;
      });
      const json = besideFactors(nothingMade, eightBitReport(eight, count), source);
      await keepReport(output, json);
      return { json, text: eightBitText(eight, count) };
    }
    const { result, text } = made;
    const beside = { original, ...given("notAlone", excluded), ...(together ? { against: original } : {}) };
    const eight = await eightBits({ graph: result.graph, file: float }, beside);
    const { bytes, milliseconds, compared } = made.json;
    const factors = eight.alone ? { ...made.json, ...nothingMade } : made.json;
    const report = besideFactors(factors, eightBitReport(eight, count), source);
    const json = { ...report, floats: { bytes, milliseconds, compared } };
    await keepReport(output, json);
    return { json, text: `${text.replace(float, "the float network")}\n\n${eightBitText(eight, count)}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What may be written, and what it is to be. */
function rulesOf({ budget, sizes, maxLoss, fixed }: InPrecision["asked"], { precision }: PrecisionArguments) {
  const counted = [budget.keepMacs, budget.keepParams, budget.keepBytes].some((keep) => keep !== undefined);
  const obeyed = sizes !== undefined || fixed === true;
  const named = sizes !== undefined || Object.values(budget).some((value) => value !== undefined);
  return {
    excluded: counted || obeyed ? "its layers are not compressed, which was asked for" : undefined,
    /** Speed that nobody asked for is no reason to write nothing. */
    pays: obeyed || (counted && precision === "int8") ? {} : { budget },
    /** Without a budget, or with a limit, what may be lost is lost by factors and rounding together. */
    together: maxLoss !== undefined || !named,
  };
}

const nothingMade = { method: "calibrated", layers: [], dense: [], skipped: [], curve: [], tried: [] } as const;

/** The report of the factors, with what was made of them in eight bits. */
function besideFactors(factors: object, eight: ReturnType<typeof eightBitReport>, source: object) {
  const { layers, float, rounding, contestants, alone, compared, ...counts } = eight;
  return {
    ...factors,
    ...counts,
    compared: { ...compared, chosen: false },
    source,
    eightBits: { layers, float, ...(rounding && { rounding }), contestants, alone },
  };
}
