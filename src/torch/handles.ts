// Handles that serve again: making one costs more than a small operator does.
import { type Handle, loadEngine } from "./native.js";

/** Beyond this many, spare handles are left to the garbage collector. */
const mostSpare = 16384;

const spare: Handle[] = [];
let empty: Handle | undefined;

/** An empty handle for the next result. */
export function takeHandle(): Handle {
  return spare.pop() ?? loadEngine().emptyHandle();
}

/** Takes an empty handle back. No tensor may refer to it any more. */
export function giveHandle(handle: Handle): void {
  if (spare.length < mostSpare) spare.push(handle);
}

/** What a disposed tensor holds: always empty, so that every use of it is refused as a use of a disposed tensor. */
export function goneHandle(): Handle {
  return (empty ??= loadEngine().emptyHandle());
}
