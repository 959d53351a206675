// Memory that native code frees stays with the process while somebody asks for it, and goes back to the system then.
// ONNX Runtime without its arena allocates every value anew: fresh pages take longer than a large network's run.
import { isEngineLoaded, loadEnvironment } from "./native.js";

let holders = 0;

/**
 * Gives what was freed back to the system, once: before something large of other sizes, which would not fit into the
 * gaps. What asks next gets fresh pages, and goes on keeping them.
 */
export function returnFreedMemory(): void {
  if (!isLeftAlone()) loadEnvironment()?.returnFreedBlocks();
}

/** The user has set how freed memory is kept, or wants none of it. */
function isLeftAlone(): boolean {
  const { MALLOC_MMAP_THRESHOLD_, FILTERBASIS_NO_MALLOPT } = process.env;
  return MALLOC_MMAP_THRESHOLD_ !== undefined || FILTERBASIS_NO_MALLOPT !== undefined;
}

/**
 * Freed blocks of any size wait for the next that asks, until the returned function is called; then all of them go
 * back. Does nothing where the addon has not been built, where the C library is not glibc, and where the user has set
 * MALLOC_MMAP_THRESHOLD_ or FILTERBASIS_NO_MALLOPT.
 */
export function keepFreedMemory(): () => void {
  if (isLeftAlone()) return () => undefined;
  holders += 1;
  if (holders === 1) loadEnvironment()?.keepFreedBlocks(true);
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    holders -= 1;
    if (holders > 0) return;
    if (!isEngineLoaded()) loadEnvironment()?.keepFreedBlocks(false);
    loadEnvironment()?.returnFreedBlocks();
  };
}
