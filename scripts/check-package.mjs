// Packs the package as npm would publish it and asks publint and attw (are the types wrong?) what a user's tools would
// find wrong with it. Needs dist/: `npm run package:check` builds it first.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "filterbasis-pack-"));

/** Runs a program; what it writes is seen only where it fails, or is asked for. */
function run(command, args, { shown = false } = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: "utf8" });
  if (shown || status !== 0) process.stdout.write(`${stdout ?? ""}${stderr ?? ""}${error ?? ""}`);
  return status === 0;
}

const tool = (name) => join(root, "node_modules/.bin", name);

try {
  if (!run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder])) process.exit(1);
  const file = join(folder, readdirSync(folder)[0]);
  const checks = [
    run(tool("publint"), ["run", file, "--strict"], { shown: true }),
    // The package is of ES modules alone: what older ways of importing make of it is not asked.
    run(tool("attw"), [file, "--profile", "esm-only", "--format", "ascii", "--no-emoji"], { shown: true }),
  ];
  process.exitCode = checks.every(Boolean) ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
