// Who is to blame when a call of a group fails: a process that told its own failure, one that gives no sign of life, or
// one that did not come to the call.
import { setTimeout as sleep } from "node:timers/promises";
import { FilterBasisError } from "../errors/error.js";
import type { GroupNotes, LifeSigns } from "./group-notes.js";

/** How the time within which a fault must be told is shared out, in milliseconds. */
export interface Patience {
  readonly timeout: number;
  /** For a collective call. */
  readonly call: number;
  /** For an answer of the store. */
  readonly answer: number;
  /** Between two signs of life. */
  readonly beat: number;
  /** After which a process without a sign of life is gone. */
  readonly silence: number;
}

/** A call, and then the question who is to blame, end within the timeout. */
export function patienceOf(timeout: number): Patience {
  const beat = Math.ceil(Math.min(1000, timeout / 16));
  const silence = 4 * beat;
  const answer = Math.ceil(Math.max(silence + 2 * beat, Math.min(timeout / 3, 20_000)));
  return { timeout, beat, silence, answer, call: Math.max(100, timeout - answer) };
}

/** The error that a failed call ends in, with the rank where it can be known. */
export async function faultOf(
  notes: GroupNotes,
  patience: Patience,
  what: string,
  cause: unknown,
): Promise<FilterBasisError> {
  if (cause instanceof FilterBasisError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  try {
    const told = await findOut(notes, patience, what);
    await notes.tellVerdict(told.message).catch(() => undefined);
    return groupError(told.message, { rank: told.rank, what, got: message, cause });
  } catch (unreachable) {
    return groupError(`rank 0 is gone or cannot be reached: ${notes.place} does not answer`, {
      rank: 0,
      what,
      got: message,
      cause: unreachable,
    });
  }
}

export function groupError(
  message: string,
  { rank, what, got, cause }: { rank?: number | undefined; what?: string; got?: string; cause?: unknown },
): FilterBasisError {
  return new FilterBasisError("group", message, {
    ...(what !== undefined && { field: what }),
    ...(got !== undefined && { got: got.split("\n")[0]!.slice(0, 200) }),
    ...(cause !== undefined && { cause }),
    ...(rank !== undefined && { facts: { rank } }),
    cures: ["look at the output of that process and at its machine; a training goes on with: --resume"],
  });
}

interface Verdict {
  readonly message: string;
  readonly rank?: number;
}

async function findOut(notes: GroupNotes, { beat, silence, timeout }: Patience, what: string): Promise<Verdict> {
  const first = await notes.signs();
  for (let waited = 0; waited < silence; waited += beat) {
    const told = await notes.told();
    if (told !== undefined) return told;
    await sleep(beat);
  }
  const last = await notes.signs();
  return (await notes.told()) ?? verdictOf(first, last, what, timeout);
}

/** What two looks at the signs of life say. */
export function verdictOf(first: LifeSigns, last: LifeSigns, what: string, timeout: number): Verdict {
  const dead = last.flatMap(({ count }, rank) => (count === first[rank]?.count ? [rank] : []));
  if (dead.length > 0) return { message: `${ranks(dead)} gone: no sign of life`, rank: dead[0]! };
  const furthest = Math.max(...last.map(({ calls }) => calls));
  const behind = last.flatMap(({ calls }, rank) => (calls < furthest ? [rank] : []));
  if (behind.length > 0) {
    const late = behind.length === 1 ? "has" : "have";
    return {
      message: `rank ${behind.join(", ")} ${late} not come to ${what} within ${timeout / 1000} s, though alive`,
      rank: behind[0]!,
    };
  }
  return { message: `${what} failed, though every process is alive` };
}

const ranks = (list: readonly number[]): string =>
  list.length === 1 ? `rank ${list[0]} is` : `ranks ${list.join(", ")} are`;
