// What a row must be: the promises that every network of the table is held to, each with the reason when it is broken.
import type { Operation } from "./operations.js";
import type { ModelFacts, Row, Violation, ViolationKind } from "./rows.js";

/** Slower than this is slower: measured again before it counts. */
export const slowerThan = 1.03;
/** Memory of a command: so many times that of running the original, and this beside it. */
export const memory = { times: 1.5, besideMiB: 300 } as const;

/**
 * Errors that decline: the budget cannot be met, or only by a larger file (each with the proof), or the network has
 * nothing that could be compressed (named).
 */
const declines = new Set(["budget-unreachable", "does-not-pay", "unsupported", "not-found"]);
/** Of these, what is said where there is nothing to compress. */
const namesNothing = new Set(["unsupported", "not-found"]);

type Unchecked = Omit<Row, "violations">;

export function violationsOf(
  row: Unchecked,
  operation: Operation,
  facts: ModelFacts,
  mustBeWritten: boolean,
): readonly Violation[] {
  const found: Violation[] = [];
  const say = (kind: ViolationKind, what: string) => found.push({ kind, what });
  judgeOutcome(row, operation, facts, mustBeWritten, say);
  judgeFile(row, operation, facts, say);
  if (row.runtimeText !== undefined) say("runtime's words", row.runtimeText);
  if (row.planDiffers?.length) say("plan differs", row.planDiffers.slice(0, 3).join("; "));
  const allowed = facts.peakMiB === undefined ? undefined : memory.times * facts.peakMiB + memory.besideMiB;
  if (allowed !== undefined && row.peakMiB > allowed)
    say(
      "memory",
      `${row.peakMiB.toFixed(0)} MiB; ${allowed.toFixed(0)} allowed (the original takes ${facts.peakMiB?.toFixed(0)})`,
    );
  return found;
}

type Say = (kind: ViolationKind, what: string) => unknown;

function judgeOutcome(row: Unchecked, { kind, budget }: Operation, facts: ModelFacts, must: boolean, say: Say): void {
  const { outcome, message = "", reachable, best, cure } = row;
  if (outcome === "written" || outcome === "answered" || outcome === "nothing-to-undo") return;
  if (["internal", "no-json"].includes(outcome) || isRuntimeText(message)) say("raw message", `${outcome}: ${message}`);
  if (kind === "budget" && must) say("must be written", `${outcome}: ${message}`);
  if (facts.why !== undefined) return; // ONNX Runtime does not run it either: any typed error will do
  const compressible = facts.convolutions ?? 0;
  if (!declines.has(outcome) || kind === "exact") say("refused", `${outcome}: ${message}`);
  else if (compressible > 0 && namesNothing.has(outcome))
    say("refused", `${compressible} convolutions have constant weights; ${outcome}: ${message}`);
  if (outcome === "does-not-pay" && !(row.larger !== undefined && row.larger.written > row.larger.original))
    say("unproven refusal", message);
  if (outcome !== "budget-unreachable" || budget === undefined) return;
  const least = Math.min(reachable ?? Number.NaN, best ?? Number.NaN);
  if (Number.isNaN(least)) say("unproven refusal", "the error has no table of what all layers together can reach");
  else if (least <= budget.keep) say("unproven refusal", `${least} can be reached, ${budget.keep} was asked for`);
  if (cure !== undefined && cure.outcome !== "written") say("cure fails", `${cure.words}: ${cure.outcome}`);
}

function judgeFile(row: Unchecked, { kind, budget }: Operation, facts: ModelFacts, say: Say): void {
  if (row.outcome !== "written") return;
  if (kind === "budget" && budget !== undefined) {
    const kept = row.kept?.[budget.of] ?? Number.NaN;
    if (!(kept <= budget.keep + 1e-9)) say("over budget", `${(100 * kept).toFixed(2)} % of the ${budget.of} kept`);
  }
  if (row.bytes !== undefined && row.bytes > facts.bytes) say("larger", `${facts.bytes} -> ${row.bytes} bytes`);
  if (row.times !== undefined && row.times.ratio > slowerThan) {
    const { original, written, ratio, ratios } = row.times;
    const all = ratios === undefined ? "" : `, middle of ${ratios.map((one) => one.toFixed(3)).join(", ")}`;
    say("slower", `${ms(original.cpu)} -> ${ms(written.cpu)} ms (${ratio.toFixed(3)}${all})`);
  }
  for (const what of row.miscounted ?? []) say("miscounted", what);
  if (row.exactness?.failure !== undefined) say("not exact", row.exactness.failure);
  for (const { name, max, unequal, allowed, within, fault } of row.exactness?.outputs ?? []) {
    if (!within)
      say(
        "not exact",
        `${name}: ${fault ?? `${max.toExponential(1)} (unequal ${percent(unequal)}), ${allowed.toExponential(1)} allowed`}`,
      );
  }
  const broken = row.difference?.find(({ fault }) => fault !== undefined);
  if (broken !== undefined && row.exactness === undefined) say("not exact", `${broken.name}: ${broken.fault}`);
}

/** Text that ONNX Runtime wrote and nobody made a sentence of. */
export const isRuntimeText = (text: string): boolean =>
  /onnxruntime::|onnxruntime_src|\[ONNXRuntimeError\]|^\d+ : [A-Z_]+|^(Load model|Non-zero status|Got invalid|Failed to load)/.test(
    text,
  );

const ms = (value: number): string => value.toPrecision(4);
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
