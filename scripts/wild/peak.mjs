// Loaded into a process by `node --import`: at its end the process writes the most memory it ever held, in KiB, to the
// file that FILTERBASIS_PEAK names. (Asking from outside comes too late: a process that has ended holds none.)
import { readFileSync, writeFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

const target = process.env.FILTERBASIS_PEAK;
if (isMainThread && target) process.on("exit", () => writeFileSync(target, String(peakKiB())));

/** VmHWM where there is /proc (it belongs to this program alone), else the system's own count. */
export function peakKiB() {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  } catch {
    return process.resourceUsage().maxRSS;
  }
}
