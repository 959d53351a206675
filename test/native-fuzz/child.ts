// The process that may die: performs the calls that come on standard input, one a line, and says before each which it
// begins.
import { spawnSync } from "node:child_process";
import { readFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { setThreads } from "../../src/torch/index.js";
import type { CallSpec } from "./calls.js";
import { perform } from "./perform.js";

setThreads(1);
boundMemory(3e9);
for await (const line of createInterface({ input: process.stdin })) {
  const { index, call } = JSON.parse(line) as { index: number; call: CallSpec };
  // Written at once: what is still in a buffer dies with the process.
  writeSync(1, `begin ${index}\n`);
  writeSync(1, `end ${index} ${perform(call) === "returned" ? "returned" : "refused"}\n`);
}

/**
 * Lets the process grow by so many bytes only: a call that asks for the whole machine's memory is refused. Node itself
 * reserves far more.
 */
function boundMemory(bytes: number): void {
  const now = Number(/VmSize:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024;
  const { status, stderr } = spawnSync("prlimit", [`--pid=${process.pid}`, `--as=${now + bytes}`, "--core=0"], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`prlimit failed: ${stderr}`);
}
