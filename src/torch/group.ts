// Groups of processes over libtorch's c10d: sums and broadcasts of tensors as promises, and meetings that wait as long
// as everybody lives.
import { FilterBasisError } from "../errors/error.js";
import type { GroupHandle } from "./group-bindings.js";
import { faultOf, type Patience, patienceOf } from "./group-faults.js";
import { type GroupNotes, notesOf } from "./group-notes.js";
import type { Meeting } from "./launcher.js";
import { loadEngine } from "./native.js";
import type { Tensor } from "./tensor.js";

export interface GroupOptions {
  readonly rank: number;
  readonly size: number;
  readonly meeting: Meeting;
  /** gloo: tensors of the processor; nccl: of GPUs. */
  readonly backend?: "gloo" | "nccl";
  /** Milliseconds within which a process that is gone, or does not come, is an error on all others. */
  readonly timeout?: number;
  /** The network interface to bind to, as GLOO_SOCKET_IFNAME names it; by default the one that reaches the meeting. */
  readonly networkInterface?: string;
}

export const usualTimeout = 120_000;

/** A process's place in a group. Every process makes the same calls in the same order. */
export class Group {
  readonly rank: number;
  readonly size: number;
  readonly timeout: number;
  /** @internal For what the addon does with a group beside this class. */
  readonly handle: GroupHandle;
  readonly #notes: GroupNotes;
  readonly #patience: Patience;
  #fault: Promise<FilterBasisError> | undefined;
  #gates = 0;

  /** @internal */
  constructor(
    handle: GroupHandle,
    notes: GroupNotes,
    { rank, size, timeout }: Required<Omit<GroupOptions, "meeting" | "backend" | "networkInterface">>,
  ) {
    this.handle = handle;
    this.rank = rank;
    this.size = size;
    this.timeout = timeout;
    this.#notes = notes;
    this.#patience = patienceOf(timeout);
  }

  /** Replaces the elements of each tensor by their sum over all processes. @throws FilterBasisError `group` */
  allReduce(tensors: readonly Tensor[]): Promise<void> {
    return this.during("the sum of tensors", () => loadEngine().groupAllReduce(this.handle, handles(tensors)));
  }

  /** Replaces the elements of each tensor by those of one process. @throws FilterBasisError `group` */
  broadcast(tensors: readonly Tensor[], from = 0): Promise<void> {
    return this.during("the broadcast of tensors", () =>
      loadEngine().groupBroadcast(this.handle, handles(tensors), from),
    );
  }

  /**
   * Waits until every process is here, however long one of them works before it comes: only one that gives no sign of
   * life is an error.
   * @throws FilterBasisError `group`
   */
  barrier(): Promise<void> {
    const gate = this.#gates++;
    return this.during("a meeting of all processes", () => this.#notes.meet(gate, this.#patience));
  }

  /** Runs a call of the group; what goes wrong there is explained by what the other processes say. @internal */
  async during<T>(what: string, run: () => Promise<T>): Promise<T> {
    if (this.#fault !== undefined) throw await this.#fault;
    try {
      return await run();
    } catch (cause) {
      this.#fault ??= faultOf(this.#notes, this.#patience, what, cause);
      throw await this.#fault;
    }
  }

  /** Tells the others why this process fails, so that they can say it, and waits until they have heard. */
  async fail(error: unknown): Promise<void> {
    if (this.#fault === undefined) {
      this.#fault = Promise.resolve(
        error instanceof FilterBasisError ? error : new FilterBasisError("internal", String(error), { cause: error }),
      );
      await this.#notes.tellFailure(error).catch(() => undefined);
      loadEngine()
        .groupAbort(this.handle)
        .catch(() => undefined);
    }
    await this.#notes.linger(this.#patience).catch(() => undefined);
  }

  /** Ends the membership when all have come to its end. */
  async leave(): Promise<void> {
    if (this.#fault === undefined) await this.barrier().catch(() => undefined);
    await this.#notes.linger(this.#patience).catch(() => undefined);
    // A backend that failed waits for what it has begun: it ends with the process.
    if (this.#fault === undefined) await loadEngine().groupLeave(this.handle);
  }
}

const handles = (tensors: readonly Tensor[]) => tensors.map(({ handle }) => handle);

/** The backends that the addon was built with. */
export function groupBackends(): readonly string[] {
  return loadEngine().groupBackends().split(" ").filter(Boolean);
}

/**
 * Joins a group: meets the other processes and connects with them.
 * @throws FilterBasisError `group` (a process does not come, says another size or the same rank; the port is taken),
 * `unsupported` (libtorch has no such backend), `usage`
 */
export async function joinGroup(options: GroupOptions): Promise<Group> {
  const { rank, size, meeting, backend = "gloo", timeout = usualTimeout, networkInterface = "" } = options;
  if (!(Number.isInteger(size) && Number.isInteger(rank) && size >= 1 && rank >= 0 && rank < size))
    throw new FilterBasisError("usage", "a rank is from 0 to the size of the group less 1", {
      got: `${rank} of ${size}`,
    });
  requireBackend(backend);
  const patience = patienceOf(timeout);
  const engine = loadEngine();
  const handle = engine.groupOpen(rank, size, patience.call, patience.answer);
  await openStore(handle, rank, meeting);
  const notes = notesOf(handle, { rank, size, meeting });
  const group = new Group(handle, notes, { rank, size, timeout });
  try {
    await notes.greet(patience);
  } catch (error) {
    await group.fail(error);
    throw error;
  }
  // Kubernetes tells the first process that it is at localhost itself: then the name of the machine says how it is
  // reached, as PyTorch has it.
  const towards =
    meeting.kind === "file" ? "localhost" : /^(localhost$|127\.|::1$)/.test(meeting.host) ? "" : meeting.host;
  await group.during("connecting", () => engine.groupConnect(handle, backend, networkInterface, towards));
  return group;
}

function requireBackend(backend: string): void {
  const known = groupBackends();
  if (known.includes(backend)) return;
  throw new FilterBasisError("unsupported", `this libtorch has no process groups over ${backend}`, {
    expected: known.length === 0 ? "a libtorch with c10d" : known.join(", "),
    got: backend,
    cures: [
      "Debian's libtorch-dev and Python's torch have Gloo; NCCL needs a libtorch with CUDA and the headers of both",
      "after another libtorch was installed: filterbasis setup --libtorch /path",
    ],
  });
}

async function openStore(handle: GroupHandle, rank: number, meeting: Meeting): Promise<void> {
  const engine = loadEngine();
  try {
    if (meeting.kind === "file") return await engine.groupStore(handle, meeting.path, "", undefined, false);
    const { host, port, own, attempt } = meeting;
    return await engine.groupStore(handle, host, `filterbasis/${attempt}`, port, own && rank === 0);
  } catch (cause) {
    throw storeError(meeting, rank, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function storeError(meeting: Meeting, rank: number, message: string, cause: unknown): FilterBasisError {
  if (meeting.kind === "file")
    return new FilterBasisError("group", "the file through which the processes meet cannot be used", {
      file: meeting.path,
      cause,
      got: message,
    });
  const place = `${meeting.host}:${meeting.port}`;
  if (/address already in use|EADDRINUSE|errno: 98/i.test(message))
    return new FilterBasisError("group", `the port ${place} is taken by another program`, {
      field: "MASTER_PORT",
      cause,
      cures: ["choose a free port: MASTER_PORT=N on every process"],
    });
  const who = rank === 0 && meeting.own ? "rank 0 cannot serve" : "rank 0 was not found";
  return new FilterBasisError("group", `${who} at ${place}`, {
    field: "MASTER_ADDR",
    got: message.split("\n")[0]!.slice(0, 300),
    cause,
    cures: [
      "start rank 0 on the machine that MASTER_ADDR names, with the same MASTER_PORT",
      "see that the port is free there and that no firewall closes it",
    ],
  });
}
