// Fetches ONNX's own conformance models (Debian's package libonnx-testdata, about 4 MB) for the tests; prints where
// they are. As root it is installed; else it is unpacked into the cache folder. Where neither works, the tests that
// need it skip.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const name = "libonnx-testdata";
const inside = join("usr", "share", name, "data");
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "filterbasis");
const places = [process.env.FILTERBASIS_ONNX_TESTDATA, join("/", inside), join(cache, name, inside)];
const here = () => places.find((place) => place !== undefined && existsSync(join(place, "node")));
const run = (command, args, cwd) => execFileSync(command, args, { cwd, stdio: ["ignore", "ignore", "inherit"] });

function install() {
  if (process.getuid?.() === 0) return run("apt-get", ["install", "-y", "--no-install-recommends", name]);
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, `${name}.part-`));
  try {
    run("apt-get", ["download", name], work);
    const file = readdirSync(work).find((entry) => entry.endsWith(".deb"));
    run("dpkg", ["-x", join(work, file), join(work, "out")]);
    rmSync(join(cache, name), { recursive: true, force: true });
    renameSync(join(work, "out"), join(cache, name));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (here() === undefined) {
  try {
    install();
  } catch (error) {
    console.error(`${name} could not be fetched (it comes from Debian's or Ubuntu's archive): ${error.message}`);
    process.exit(1);
  }
}
console.log(here());
