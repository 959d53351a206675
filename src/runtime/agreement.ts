// Whether a written model is the original: its outputs on the same inputs, beside what rounding may do to them. An
// exact step must agree; an approximate one is measured, and cannot fail for being different.
import { FilterBasisError } from "../errors/error.js";
import type { Graph, TensorData } from "../graph/types.js";
import { isFloat } from "../graph/values.js";
import { type Differences, differences, sameShape } from "./differences.js";
import { loadModel } from "./files.js";
import { heldStill } from "./hold-still.js";
import { openSession } from "./open.js";
import type { ReferenceSet } from "./reference.js";
import type { Session, SessionOptions } from "./session.js";
import type { OutputRule, Tolerance } from "./tolerance.js";

export type StepKind = "exact" | "approximate";

/** How one output compares with the original's, over all inputs; plain numbers, null where there is none. */
export interface OutputAgreement {
  readonly output: string;
  /**
   * "agrees" and "differs" say whether the difference is within rounding. "constant" did not move in the original and
   * is the same; "random" and "unstable" are not compared, for the stated reason. (A "random" one with figures was the
   * same while all draws were held still.)
   */
  readonly state: "agrees" | "differs" | "constant" | "random" | "unstable";
  readonly reason: string | null;
  /** Of the inputs for which the difference is largest: which kind, */
  readonly feed: string | null;
  /** the root mean square difference relative to the root mean square of the original's, */
  readonly relative: number | null;
  /** the largest difference, and relative to the largest of the original's, */
  readonly absolute: number | null;
  readonly relativeMax: number | null;
  /** the correlation of both (null where one is constant), */
  readonly correlation: number | null;
  /** the share of equal elements (whole numbers, flags, texts only), */
  readonly equal: number | null;
  /** and by how much the difference exceeds what rounding may do (1 and below: not at all). */
  readonly excess: number | null;
  /** Whether every element is finite where the original's is. */
  readonly finite: boolean;
}

export interface Agreement {
  readonly kind: StepKind;
  /** Exact: every output that can be compared is within rounding. Approximate: every output is there. */
  readonly agrees: boolean;
  /** Outputs that were compared and do move. Where there is none, nothing is shown. */
  readonly compared: number;
  readonly outputs: readonly OutputAgreement[];
  /** The kinds of inputs. */
  readonly feeds: readonly string[];
  /** Nodes of the original that draw at random, */
  readonly random: readonly string[];
  /** and whether they were held still for the comparison, in both models. */
  readonly still: boolean;
}

/**
 * Runs a written model (a graph, or a file as it lies on the disk) on the reference's inputs and compares.
 * @throws FilterBasisError what opening and running throw
 */
export async function compareWithOriginal(
  written: Graph | string,
  reference: ReferenceSet,
  { kind, ...options }: { readonly kind: StepKind } & SessionOptions,
): Promise<Agreement> {
  const session = await openWritten(written, reference, { ...reference.options, ...options });
  try {
    const found = new Map<string, OutputAgreement>();
    for (const [i, { kind: feed, feeds }] of reference.feeds.entries()) {
      const outputs = await session.run(feeds);
      for (const rule of reference.rules) {
        const one = compareOutput(
          outputs[rule.name],
          reference.outputs[i]![rule.name]!,
          rule,
          rule.tolerances[i],
          feed,
        );
        const known = found.get(rule.name);
        if (known === undefined || (one.excess ?? 0) > (known.excess ?? 0)) found.set(rule.name, one);
      }
    }
    const all = [...found.values()];
    const wrong = all.filter(({ state }) => state === "differs");
    return {
      kind,
      agrees: kind === "exact" ? wrong.length === 0 : wrong.every(({ reason }) => reason !== missing),
      compared: all.filter(({ state }) => state === "agrees" || state === "differs").length,
      outputs: all,
      feeds: reference.feeds.map((one) => one.kind),
      random: reference.random,
      still: reference.still,
    };
  } finally {
    await session.release();
  }
}

const missing = "the output is missing";

/**
 * The model, or where the reference's draws were held still, the model with its own held still; the file itself runs
 * all the same.
 */
async function openWritten(
  written: Graph | string,
  { still, feeds }: ReferenceSet,
  options: SessionOptions,
): Promise<Session> {
  const session = await openSession(written, options);
  if (!still) return session;
  try {
    await session.run(feeds[0]!.feeds);
  } finally {
    await session.release();
  }
  const graph = typeof written === "string" ? await loadModel(written) : written;
  return openSession(heldStill(graph) ?? graph, options);
}

/** Infinity where sizes or types differ, so that the excess still orders what is found. */
function compareOutput(
  got: TensorData | undefined,
  expected: TensorData,
  rule: OutputRule,
  tolerance: Tolerance | undefined,
  feed: string,
): OutputAgreement {
  const none = {
    output: rule.name,
    feed,
    relative: null,
    absolute: null,
    relativeMax: null,
    correlation: null,
    equal: null,
  };
  if (got === undefined) return { ...none, state: "differs", reason: missing, excess: Number.MAX_VALUE, finite: true };
  if (rule.state === "unstable" || tolerance === undefined) {
    const state = rule.state === "random" ? "random" : "unstable";
    return { ...none, feed: null, state, reason: rule.reason ?? null, excess: null, finite: true };
  }
  if (got.type !== expected.type || !sameShape(got, expected)) {
    const reason = `it is ${describe(got)}, the original's ${describe(expected)}`;
    return { ...none, state: "differs", reason, excess: Number.MAX_VALUE, finite: true };
  }
  const found = differences(got, expected, isFloat(expected.type) ? tolerance.near : 0);
  const excess = excessOf(found, expected, rule, tolerance);
  const state = excess > 1 ? "differs" : rule.state === "compared" ? "agrees" : rule.state;
  const float = isFloat(expected.type);
  return {
    output: rule.name,
    state,
    reason:
      found.notFinite > 0
        ? `${found.notFinite} values are not finite`
        : state === rule.state
          ? (rule.reason ?? null)
          : null,
    feed,
    relative: quotient(found.rms, found.scale.rms),
    absolute: found.max,
    relativeMax: quotient(found.max, found.scale.max),
    correlation: found.correlation ?? null,
    equal: float || found.count === 0 ? null : 1 - found.unequal / found.count,
    excess,
    finite: found.notFinite === 0,
  };
}

const quotient = (a: number, b: number): number | null => (a === 0 ? 0 : b > 0 ? a / b : null);

/**
 * The difference over what is allowed: the worse of largest and root mean square; behind steps the share of elements
 * may do instead.
 */
function excessOf(found: Differences, expected: TensorData, { stepwise }: OutputRule, tolerance: Tolerance): number {
  if (found.notFinite > 0) return Number.MAX_VALUE;
  if (found.count === 0) return 0;
  const over = (value: number, limit: number): number =>
    value === 0 ? 0 : limit > 0 ? value / limit : Number.MAX_VALUE;
  const share = over(found.beyond / found.count, tolerance.share);
  if (!isFloat(expected.type)) return share;
  const distance = Math.max(over(found.max, tolerance.max), over(found.rms, tolerance.rms));
  return stepwise && tolerance.share > 0 ? Math.min(distance, share) : distance;
}

const describe = ({ type, dims }: TensorData): string => `${type} [${dims.join(", ")}]`;

/** The output that is furthest from the original's; undefined where nothing was compared. */
export function worstOutput({ outputs }: Agreement): OutputAgreement | undefined {
  const compared = outputs.filter(({ state }) => state === "agrees" || state === "differs");
  return compared.reduce<OutputAgreement | undefined>(
    (worst, one) => (worst === undefined || (one.excess ?? 0) > (worst.excess ?? 0) ? one : worst),
    undefined,
  );
}

/**
 * Passes an agreement on.
 * @throws FilterBasisError `verification-failed` where it is none, naming the worst output
 */
export function requireAgreement(agreement: Agreement, file?: string): Agreement {
  if (agreement.agrees) return agreement;
  const { output, reason, relative, relativeMax, excess, feed } = agreement.outputs
    .filter(({ state }) => state === "differs")
    .reduce((worst, one) => ((one.excess ?? 0) > (worst.excess ?? 0) ? one : worst));
  const far = `off by ${(relative ?? 0).toPrecision(2)} (rms), at most ${(relativeMax ?? 0).toPrecision(2)} of the largest value`;
  throw new FilterBasisError("verification-failed", "the model does not compute what the original does", {
    ...(file === undefined ? {} : { file }),
    tensor: output,
    expected: "the same but for rounding",
    got: reason ?? `${far}: ${(excess ?? 0).toPrecision(2)} times what rounding explains, with inputs "${feed}"`,
  });
}
