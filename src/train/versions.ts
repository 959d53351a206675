// Versions and machine, for the record beside every number.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type Device, engineInfo } from "../torch/index.js";

/** Conditions under which a number was measured. */
interface Versions {
  readonly filterbasis: string;
  readonly commit: string | null;
  readonly node: string;
  readonly libtorch: string;
  readonly onnxruntime: string;
  readonly processor: string;
  readonly threads: number;
  readonly device: string;
}

export async function versions(device: Device): Promise<Versions> {
  const own = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  const runtime = await import("onnxruntime-common").then(
    (module) => module.env.versions.common,
    () => "unknown",
  );
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const commit = await promisify(execFile)("git", ["rev-parse", "--short", "HEAD"], { cwd: root }).then(
    ({ stdout }) => stdout.trim(),
    () => null,
  );
  const engine = engineInfo();
  return {
    filterbasis: own.version,
    commit,
    node: process.version,
    libtorch: engine.version,
    onnxruntime: runtime ?? "unknown",
    processor: cpus()[0]?.model ?? "unknown",
    threads: engine.threads,
    device,
  };
}
