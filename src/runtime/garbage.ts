// Arrays that nobody reads any more hold memory outside V8's heap until it collects, which it does late: a heap of 30
// MB may keep a gigabyte of outputs. Whoever is about to need as much says so.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;
/** Bytes of arrays that the last collection left: somebody holds them, and another one would find nothing. */
let held = 0;

/** Collects where array buffers take so many bytes more than the last collection left. */
export function collectArrays(above: number): void {
  const now = process.memoryUsage().arrayBuffers;
  held = Math.min(held, now);
  if (now - held <= above) return;
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
  held = process.memoryUsage().arrayBuffers;
}
