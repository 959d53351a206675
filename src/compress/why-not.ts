// Why a network does not get faster: where its time goes, operator by operator, and the fastest that each layer was
// measured to become. Told with the error that says so, and kept in it.
import { type FilterBasisError, isError } from "../errors/error.js";
import { type OperatorTime, operatorTimes } from "../runtime/operator-times.js";
import type { TimedCandidate } from "./fastest-candidates.js";
import type { Given, JobHooks, Place } from "./job.js";
import type { Planner } from "./plan-calibrated.js";

/** Operators and layers that are told; `--json` has all of them. */
const told = 8;

/** The error, with the tables of why where it is about speed. */
export async function withReasons(
  error: unknown,
  given: Given,
  planner: Planner | undefined,
  { inputs, runtime, threads }: Place,
  { note, signal }: JobHooks,
): Promise<unknown> {
  const candidates = planner?.times() ?? [];
  if (!isAboutSpeed(error) || candidates.length === 0) return error;
  const options = { ...(threads === undefined ? {} : { threads }), ...(signal ? { signal } : {}) };
  const operators =
    runtime === "web"
      ? []
      : await operatorTimes(given.file ?? given.graph, inputs, options).catch((failure: unknown) => {
          if (isError(failure)) return []; // it is beside the point by now
          throw failure;
        });
  for (const line of [...operatorLines(operators), ...candidateLines(candidates)]) note?.(line);
  return error.knowing({ operators, candidates, saved: savedBy(candidates) });
}

/** Whether the error says that a network does not get as fast as was asked for. */
export const isAboutSpeed = (error: unknown): error is FilterBasisError => isError(error, "does-not-pay");

/** Milliseconds that the fastest candidates of all layers save together, whatever they lose. */
const savedBy = (candidates: readonly TimedCandidate[]): number =>
  candidates.reduce((sum, { milliseconds, best }) => sum + milliseconds - best.milliseconds, 0);

function operatorLines(operators: readonly OperatorTime[]): readonly string[] {
  const lines = operators.slice(0, told).map(({ operator, nodes, milliseconds, share }) => {
    const percent = `${(100 * share).toFixed(0)} %`;
    return `  ${milliseconds.toFixed(2).padStart(8)} ms ${percent.padStart(5)}  ${operator} (${nodes})`;
  });
  return lines.length === 0 ? [] : ["where the network's time goes, by operators of ONNX Runtime:", ...lines];
}

function candidateLines(candidates: readonly TimedCandidate[]): readonly string[] {
  const lines = candidates.slice(0, told).map(({ layer, milliseconds, best }) => {
    const became =
      best.factors === "dense"
        ? "nothing that was timed is faster"
        : `${best.milliseconds.toFixed(2)} ms as ${best.factors}, which loses ${best.error.toPrecision(2)} of its output`;
    return `  ${milliseconds.toFixed(2).padStart(8)} ms  ${layer}: ${became}`;
  });
  return [
    "the layers that could be replaced, and the fastest that was measured of each:",
    ...lines,
    `  all ${candidates.length} together save at most ${savedBy(candidates).toFixed(2)} ms, whatever they lose`,
  ];
}
