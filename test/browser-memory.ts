// What a browser's processes hold together while a page works, as Linux counts it: memory that several of them share
// counts once (the sum of their proportional set sizes).
import { readdirSync, readFileSync } from "node:fs";

/** Bytes of all processes whose command line contains a text. */
function bytesOf(marker: string): number {
  let sum = 0;
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${id}/cmdline`, "utf8").includes(marker)) continue;
      sum += 1024 * Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {
      // it ended meanwhile
    }
  }
  return sum;
}

/** Looks every half second; `most` is since the last `begin`. */
export function watchMemory(marker: string) {
  let most = 0;
  const look = (): void => {
    most = Math.max(most, bytesOf(marker));
  };
  const timer = setInterval(look, 500);
  return {
    /** Forgets what was seen; gives what is held now. */
    begin(): number {
      most = bytesOf(marker);
      return most;
    },
    most: () => most,
    stop: () => clearInterval(timer),
  };
}
