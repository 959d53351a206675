// Arrays that nobody reads any more hold memory outside V8's heap until it collects, which it does late: a heap of 30
// MB may keep a gigabyte of outputs. Whoever is about to need as much says so.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | undefined;

/** Collects where array buffers take more than so many bytes. */
export function collectArrays(above: number): void {
  if (process.memoryUsage().arrayBuffers <= above) return;
  if (collect === undefined) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}
