// What the processes of a group tell each other beside their tensors, through a store of keys: who is here, that they
// live, why one fails, that all have come to a place.
import { setTimeout as sleep } from "node:timers/promises";
import { FilterBasisError } from "../errors/error.js";
import type { GroupHandle } from "./group-bindings.js";
import { groupError, type Patience } from "./group-faults.js";
import type { Meeting } from "./launcher.js";
import { loadEngine } from "./native.js";

/** Of each rank: beats so far (undefined before the first), and collective calls begun. */
export type LifeSigns = readonly { readonly count: string | undefined; readonly calls: number }[];

export interface GroupNotes {
  /** The store, for messages. */
  readonly place: string;
  /** Meets the others for the first time. @throws FilterBasisError `group` */
  greet(patience: Patience): Promise<void>;
  /** Waits until all have come to a gate. @throws FilterBasisError `group` */
  meet(gate: number, patience: Patience): Promise<void>;
  signs(): Promise<LifeSigns>;
  /** What another process told of a failure. */
  told(): Promise<{ readonly message: string; readonly rank?: number } | undefined>;
  tellFailure(error: unknown): Promise<void>;
  /** The first that finds out who is to blame tells it, so that all name the same. */
  tellVerdict(message: string): Promise<void>;
  /** Says that this process goes; the one that serves the store waits until the others have gone. */
  linger(patience: Patience): Promise<void>;
}

interface Place {
  readonly rank: number;
  readonly size: number;
  readonly meeting: Meeting;
}

/** The store as a board of keys and texts. */
interface Board extends Place {
  readonly place: string;
  get(keys: readonly string[]): Promise<(string | null)[]>;
  set(key: string, text: string): Promise<void>;
  /** A key of each rank. */
  all(name: string): readonly string[];
}

/** The notes of a group over the addon's store. */
export function notesOf(handle: GroupHandle, at: Place): GroupNotes {
  const engine = loadEngine();
  const { rank, size, meeting } = at;
  const board: Board = {
    ...at,
    place: meeting.kind === "file" ? meeting.path : `the store at ${meeting.host}:${meeting.port}`,
    get: (keys) => engine.groupGet(handle, keys),
    set: (key, text) => engine.groupSet(handle, key, text),
    all: (name) => Array.from({ length: size }, (_, k) => `${name}/${k}`),
  };
  return {
    place: board.place,
    signs: () => signsOf(board),
    told: () => toldOn(board),
    async greet(patience) {
      if ((await engine.groupAdd(handle, `count/${rank}`, 1)) > 1) throw twice(rank, board.place);
      await greet(board, patience);
      engine.groupBeat(handle, `beat/${rank}`, patience.beat);
    },
    meet: (gate, patience) => meet(board, gate, patience),
    async tellFailure(error) {
      const text = error instanceof FilterBasisError ? `${error.code}: ${error.message}` : String(error);
      await board.set(`failed/${rank}`, text.slice(0, 1000));
    },
    async tellVerdict(message) {
      if ((await board.get(["verdict"]))[0] === null) await board.set("verdict", message);
    },
    linger: (patience) => linger(board, patience),
  };
}

async function signsOf({ get, all }: Board): Promise<LifeSigns> {
  return (await get(all("beat"))).map((text) => {
    const [count, calls = "0"] = text?.split(" ") ?? [];
    return { count, calls: Number(calls) };
  });
}

async function toldOn({ get, all, rank }: Board): ReturnType<GroupNotes["told"]> {
  const [verdict, ...failures] = await get(["verdict", ...all("failed")]);
  const failed = failures.findIndex((text, k) => text !== null && k !== rank);
  if (failed >= 0) return { message: `rank ${failed} failed: ${failures[failed]}`, rank: failed };
  if (verdict === null || verdict === undefined) return undefined;
  const named = /^ranks? (\d+)/.exec(verdict)?.[1];
  return { message: verdict, ...(named !== undefined && { rank: Number(named) }) };
}

/** Every process says that it is here and how many it takes them to be. */
async function greet(board: Board, { timeout }: Patience): Promise<void> {
  const { rank, size, get, set, all, place } = board;
  await set(`hello/${rank}`, String(size));
  const until = performance.now() + timeout;
  for (let pause = 5; ; pause = Math.min(2 * pause, 250)) {
    const hellos = await get(all("hello"));
    const other = hellos.findIndex((text) => text !== null && text !== String(size));
    if (other >= 0) throw sizesDiffer(rank, size, other, hellos[other]!);
    if (hellos.every((text) => text !== null)) return;
    const failed = await toldOn(board);
    if (failed !== undefined) throw groupError(failed.message, failed);
    if (performance.now() > until) throw missing(hellos, timeout, place);
    await sleep(pause);
  }
}

/** Rank 0 waits for all and opens the gate; the others wait for rank 0. */
async function meet(board: Board, gate: number, { silence, beat }: Patience): Promise<void> {
  const { rank, get, set, all } = board;
  if (rank !== 0) await set(`gate/${gate}/${rank}`, "here");
  const awaited = rank === 0 ? all(`gate/${gate}`).slice(1) : [`open/${gate}`];
  const heard = new Map<number, { count: string | undefined; at: number }>();
  for (let pause = 1, looked = performance.now(); ; pause = Math.min(1.5 * pause, 100)) {
    const there = await get(awaited);
    if (there.every((text) => text !== null)) break;
    if (performance.now() - looked > beat) {
      looked = performance.now();
      const failed = await toldOn(board);
      if (failed !== undefined) throw groupError(failed.message, failed);
      const silent = silentRanks(await signsOf(board), heard, 2 * silence);
      const missed = silent.find((k) => (rank === 0 ? k > 0 && there[k - 1] === null : k === 0));
      if (missed !== undefined) throw new Error(`rank ${missed} gives no sign of life`);
    }
    await sleep(pause);
  }
  if (rank === 0) await set(`open/${gate}`, "open");
}

async function linger(board: Board, { silence, beat }: Patience): Promise<void> {
  const { rank, meeting, get, set, all } = board;
  await set(`left/${rank}`, "left");
  if (rank !== 0 || meeting.kind === "file" || !meeting.own) return;
  const until = performance.now() + 2 * silence;
  const before = await signsOf(board);
  const came = await get(all("hello"));
  while (performance.now() < until) {
    const left = await get(all("left"));
    const now = await signsOf(board);
    const late = performance.now() > until - silence; // whoever is silent by then does not come any more
    if (left.every((text, k) => text !== null || came[k] === null || (late && now[k]?.count === before[k]?.count)))
      return;
    await sleep(Math.min(beat, 50));
  }
}

/** Ranks whose count has not changed for so long. */
function silentRanks(
  now: LifeSigns,
  heard: Map<number, { count: string | undefined; at: number }>,
  longest: number,
): readonly number[] {
  const time = performance.now();
  const silent: number[] = [];
  for (const [rank, { count }] of now.entries()) {
    const before = heard.get(rank);
    if (before === undefined || before.count !== count) heard.set(rank, { count, at: time });
    else if (time - before.at > longest) silent.push(rank);
  }
  return silent;
}

const twice = (rank: number, place: string): FilterBasisError =>
  new FilterBasisError("group", `another process is rank ${rank} already at ${place}`, {
    field: "RANK",
    cures: ["give every process a rank of its own", "another run may use this address: choose another MASTER_PORT"],
  });

const sizesDiffer = (rank: number, size: number, other: number, said: string): FilterBasisError =>
  new FilterBasisError("group", "the processes do not agree on how many they are", {
    field: "WORLD_SIZE",
    expected: `${size}, as rank ${rank} has it`,
    got: `${said} from rank ${other}`,
    cures: ["set the same WORLD_SIZE for every process"],
  });

function missing(hellos: readonly (string | null)[], timeout: number, place: string): FilterBasisError {
  const ranks = hellos.flatMap((text, rank) => (text === null ? [rank] : []));
  return new FilterBasisError("group", `rank ${ranks.join(", ")} did not come to ${place}`, {
    expected: `${hellos.length} processes within ${timeout / 1000} s`,
    got: `${hellos.length - ranks.length}`,
    facts: { rank: ranks[0] },
    cures: ["start every process", "start no more than WORLD_SIZE says", "a longer wait: --timeout SECONDS"],
  });
}
