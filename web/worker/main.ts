// The worker: everything that computes happens here. One request at a time; Cancel ends the worker itself.
import { FilterBasisError, isError } from "../../src/errors/error.js";
import { shareTimes } from "../host/latency-table.js";
import type { Begin, Failure, Kind, Request, Requests, Said } from "../protocol.js";
import { compareOn } from "./compare.js";
import { compressAt } from "./compress.js";
import { openNetwork } from "./open.js";
import { planOn } from "./plan.js";
import { reportData } from "./report.js";
import type { Tell } from "./state.js";

interface WorkerScope {
  postMessage(message: Said, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<Begin | Request>) => void) | null;
}
const scope = globalThis as unknown as WorkerScope;
const say = (message: Said): void => scope.postMessage(message);

const tell: Tell = {
  note: (text) => say({ kind: "note", text }),
  progress(label, total) {
    say({ kind: "progress", label, done: 0, total });
    let last = 0;
    return {
      update(done) {
        const now = performance.now();
        if (now - last < 50 && done < total) return;
        last = now;
        say({ kind: "progress", label, done, total });
      },
      stop: () => undefined,
    };
  },
};

const handlers: { readonly [K in Kind]: (ask: Requests[K]["ask"], tell: Tell) => Promise<Requests[K]["answer"]> } = {
  open: openNetwork,
  plan: planOn,
  compress: compressAt,
  compare: compareOn,
  report: reportData,
};

scope.onmessage = ({ data }) => {
  if (data.kind === "begin") ready = begin(data);
  else void answer(data);
};

let ready: Promise<void> | undefined;

async function begin({ base, threads, known }: Begin): Promise<void> {
  shareTimes(known, (times) => say({ kind: "times", times }));
  const { env } = await import("../host/web-runtime.js");
  env.wasm.wasmPaths = new URL("ort/", base).href;
  env.wasm.numThreads = threads;
}

async function answer({ id, kind, ask }: Request): Promise<void> {
  try {
    await ready;
    const handler = handlers[kind] as (ask: unknown, tell: Tell) => Promise<unknown>;
    say({ kind: "answer", id, value: await handler(ask, tell) });
  } catch (error) {
    say({ kind: "failure", id, failure: failureOf(error) });
  }
}

function failureOf(error: unknown): Failure {
  const known = isError(error) ? error : fromOutside(error);
  const { code, problem, place, expected, got, cures } = known;
  const where = Object.entries(place).map(([key, value]) => `${key} ${value}`);
  return {
    ...{ code, problem, cures, place: where.join(", ") },
    ...(expected === undefined ? {} : { expected }),
    ...(got === undefined ? {} : { got }),
  };
}

/** What is not ours: memory that is not there, or a fault. */
function fromOutside(error: unknown): FilterBasisError {
  const text = error instanceof Error ? error.message : String(error);
  if (/memory|allocation|bad_alloc|Array buffer/i.test(text))
    return new FilterBasisError("too-large", "the tab has not enough memory for this", {
      got: text,
      cures: ["close other tabs", "fewer or smaller pictures", "on the command line: npx filterbasis compress"],
    });
  return new FilterBasisError("internal", "something went wrong", { got: text });
}
