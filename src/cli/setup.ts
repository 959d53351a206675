// `setup`: what training and calibration need and npm does not bring: libtorch, a compiler, the addon built against it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { FilterBasisError } from "../errors/error.js";
import { packageRoot } from "../torch/files.js";
import { command } from "./frame.js";

export default command({
  name: "setup",
  summary: "finds or installs libtorch and builds the addon, which training and calibration use; says each step first",
  examples: ["setup --dry-run", "setup --libtorch libtorch/"],
  args: {
    libtorch: {
      type: "string",
      valueHint: "FOLDER",
      description:
        "an unpacked libtorch, or the torch folder of a Python installation: nothing of the system is changed",
    },
    "dry-run": { type: "boolean", description: "say what would be done" },
  },
  async run({ libtorch, "dry-run": dryRun = false }, { signal }) {
    const script = join(packageRoot(), "scripts", "setup.mjs");
    const given = libtorch === undefined ? {} : { LIBTORCH: resolve(libtorch) };
    const child = spawn(process.execPath, [script, "--package", ...(dryRun ? ["--dry-run"] : [])], {
      stdio: ["ignore", 2, 2], // its steps are progress; stdout is for the result
      env: { ...process.env, ...given },
      signal,
    });
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0)
      throw new FilterBasisError("engine-missing", "the set-up did not come to its end", {
        file: script,
        got: `exit code ${code}`,
        cures: ["see what stands above", "filterbasis setup --dry-run lists the steps"],
      });
    return {
      json: { ready: !dryRun },
      text: dryRun ? "nothing was done" : "ready; filterbasis doctor measures what is here",
    };
  },
});
