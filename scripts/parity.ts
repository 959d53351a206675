// npm run parity -- DIR: runs every entry of DIR/index.json against this project. One line an entry; exit 1 when any is
// off or unknown.
import { resolve } from "node:path";
import { FilterBasisError } from "../src/errors/error.js";
import { setThreads } from "../src/torch/index.js";
import { type Check, type Entry, type Folder, openFolder, readIndex } from "./parity/entry.js";
import { checkNormalize, checkPsnr, checkQuantize } from "./parity/images.js";
import { checkLossNorm } from "./parity/loss-norm.js";
import { checkNetwork } from "./parity/networks.js";
import { checkAugment, checkChop, checkPatches } from "./parity/patches.js";

/** What each kind of entry is compared by. */
const kinds: Readonly<Record<string, (entry: Entry, folder: Folder) => readonly Check[] | Promise<readonly Check[]>>> =
  {
    forward: checkNetwork,
    forward_procedural_weights: checkNetwork,
    augment: checkAugment,
    get_patch: checkPatches,
    chop: checkChop,
    psnr: checkPsnr,
    quantize: checkQuantize,
    normalize: checkNormalize,
    loss_norm: checkLossNorm,
  };

/** One entry's line, and whether it agrees. */
async function runEntry(entry: Entry, folder: Folder): Promise<{ ok: boolean; text: string }> {
  const run = Object.hasOwn(kinds, entry.kind) ? kinds[entry.kind] : undefined;
  if (run === undefined)
    return {
      ok: false,
      text: `unknown kind ${JSON.stringify(entry.kind)}; known are ${Object.keys(kinds).join(", ")}`,
    };
  try {
    const checks = await run(entry, folder);
    const bad = checks.filter(({ difference, allowed }) => !(difference <= allowed));
    const shown = (bad.length > 0 ? bad : worst(checks)).map(
      ({ what, difference, allowed }) => `${what} off by ${difference.toPrecision(3)} of ${allowed.toPrecision(3)}`,
    );
    return { ok: bad.length === 0 && checks.length > 0, text: shown.join("; ") };
  } catch (error) {
    if (error instanceof FilterBasisError) return { ok: false, text: `${error.code}: ${error.message}` };
    throw error;
  }
}

/** The comparison nearest to its bound. */
function worst(checks: readonly Check[]): readonly Check[] {
  return [...checks].sort((a, b) => b.difference / (b.allowed || 1) - a.difference / (a.allowed || 1)).slice(0, 1);
}

const [path, only] = process.argv.slice(2);
if (path === undefined) {
  console.error(
    "Use: npm run parity -- DIR [NAME]   (DIR holds index.json; NAME: only entries whose name contains it)",
  );
  process.exit(2);
}
setThreads(Number(process.env.OMP_NUM_THREADS ?? 1));
const folder = openFolder(resolve(path));
const entries = readIndex(folder).filter(({ name }) => only === undefined || name.includes(only));
let failed = 0;
for (const entry of entries) {
  const { ok, text } = await runEntry(entry, folder);
  if (!ok) failed += 1;
  console.log(`${ok ? "ok      " : "MISMATCH"} ${entry.name} (${entry.kind}): ${text}`);
}
console.log(`${entries.length - failed} of ${entries.length} entries agree`);
process.exitCode = failed > 0 || entries.length === 0 ? 1 : 0;
