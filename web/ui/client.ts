// The page's end of the worker: one request after the other; `stop` ends the worker and begins a new one.
import type { KnownTimes } from "../host/latency-table.js";
import type { Begin, Failure, Kind, PageDevice, Request, Requests, Said } from "../protocol.js";

/** A request that the worker declined, or that was stopped. */
export class Declined extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.problem);
    this.failure = failure;
  }
}

export interface Hooks {
  progress(label: string, done: number, total: number): void;
  note(text: string): void;
}

const stopped: Failure = { code: "interrupted", problem: "stopped", place: "", cures: [] };
const broken: Failure = {
  ...{ code: "too-large", problem: "the worker ended: the tab may have run out of memory", place: "" },
  cures: ["close other tabs and try again", "on the command line: npx filterbasis compress"],
};

/** Threads that WebAssembly may have: more than one needs a page that is isolated from others. */
export const threads = globalThis.crossOriginIsolated ? Math.max(1, Math.min(4, navigator.hardwareConcurrency)) : 1;

interface Pending {
  resolve(value: unknown): void;
  reject(error: Declined): void;
}

export class Client {
  readonly #hooks: Hooks;
  readonly #pending = new Map<number, Pending>();
  /** Times of one device say nothing of another. */
  readonly #known: Record<PageDevice, KnownTimes[number][]> = { wasm: [], webgpu: [] };
  #device: PageDevice = "wasm";
  #worker: Worker;
  #next = 1;
  #last: Promise<unknown> = Promise.resolve();

  constructor(hooks: Hooks) {
    this.#hooks = hooks;
    this.#worker = this.#start();
  }

  ask<K extends Kind>(kind: K, ask: Requests[K]["ask"]): Promise<Requests[K]["answer"]> {
    const answer = this.#last.then(() => this.#send(kind, ask));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  /** Ends what is going on at once. What the worker knew is gone, but for the times that it measured. */
  stop(): void {
    this.#worker.terminate();
    this.#end(stopped);
    this.#worker = this.#start();
  }

  /** Goes on in a new worker, which computes on another device and knows nothing but the times measured there. */
  use(device: PageDevice): void {
    this.#device = device;
    this.stop();
  }

  #send<K extends Kind>(kind: K, ask: Requests[K]["ask"]): Promise<Requests[K]["answer"]> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as Pending["resolve"], reject });
      this.#worker.postMessage({ id, kind, ask } as Request);
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL("../worker/main.ts", import.meta.url), { type: "module", name: this.#device });
    worker.onmessage = ({ data }: MessageEvent<Said>) => this.#hear(data);
    worker.onerror = () => {
      if (worker === this.#worker) this.#end(broken);
    };
    const begin: Begin = { kind: "begin", base: document.baseURI, threads, known: this.#known[this.#device] };
    worker.postMessage(begin);
    return worker;
  }

  #hear(said: Said): void {
    if (said.kind === "progress") this.#hooks.progress(said.label, said.done, said.total);
    else if (said.kind === "note") this.#hooks.note(said.text);
    else if (said.kind === "times") this.#known[this.#device].push(...said.times);
    else this.#answer(said);
  }

  #answer(said: Extract<Said, { readonly id: number }>): void {
    const pending = this.#pending.get(said.id);
    this.#pending.delete(said.id);
    if (said.kind === "answer") pending?.resolve(said.value);
    else pending?.reject(new Declined(said.failure));
  }

  #end(failure: Failure): void {
    for (const { reject } of this.#pending.values()) reject(new Declined(failure));
    this.#pending.clear();
  }
}
