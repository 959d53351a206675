// Memory that native code frees goes back to the system while somebody asks for it. ONNX Runtime without its arena
// allocates every value anew; glibc keeps the freed blocks of such runs, several times what one run needs.
import { loadEnvironment } from "./native.js";

let holders = 0;

/**
 * Until the returned function is called, freed blocks from 256 KiB on go back to the system at once; slower for code
 * that allocates the same sizes again and again, as training does. Does nothing where the addon has not been built,
 * where the C library is not glibc, and where the user has set MALLOC_MMAP_THRESHOLD_.
 */
export function returnFreedMemory(): () => void {
  if (process.env.MALLOC_MMAP_THRESHOLD_ !== undefined) return () => undefined;
  holders += 1;
  if (holders === 1) loadEnvironment()?.returnFreedBlocks(true);
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    holders -= 1;
    if (holders === 0) loadEnvironment()?.returnFreedBlocks(false);
  };
}
