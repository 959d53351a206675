// Fetches ISNet, the network behind most background removal in browsers, for test/isnet.test.ts: the npm package
// @imgly/background-removal-data (137 MB), whose resources.json lists the chunks of /models/medium. They are checked,
// put together and kept in the cache folder as isnet.onnx (88 MB); the path is printed. Without a network it fails.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const name = "@imgly/background-removal-data@1.4.5";
const resource = "/models/medium";
const { FILTERBASIS_CACHE: own, XDG_CACHE_HOME: shared } = process.env;
const cache = own || join(shared || join(homedir(), ".cache"), "filterbasis");
const path = join(cache, "isnet.onnx");

/** The chunks of one resource, in order, each of the size and with the SHA-256 that the list states. */
function assemble(folder) {
  const { size, chunks } = JSON.parse(readFileSync(join(folder, "resources.json"), "utf8"))[resource];
  const parts = chunks.map(({ hash, offsets: [from, to] }) => {
    const bytes = readFileSync(join(folder, hash));
    if (bytes.length !== to - from) throw new Error(`chunk ${hash} has ${bytes.length} bytes instead of ${to - from}`);
    const digest = createHash("sha256").update(bytes).digest("hex");
    if (digest !== hash) throw new Error(`the SHA-256 of chunk ${hash} is ${digest}`);
    return bytes;
  });
  const whole = Buffer.concat(parts);
  if (whole.length !== size) throw new Error(`the chunks have ${whole.length} bytes together instead of ${size}`);
  return whole;
}

function fetchModel() {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "isnet.part-"));
  const run = (command, ...args) => execFileSync(command, args, { cwd: work, stdio: ["ignore", "ignore", "inherit"] });
  try {
    run("npm", "pack", name, "--silent");
    run(
      "tar",
      "-xzf",
      readdirSync(work).find((entry) => entry.endsWith(".tgz")),
    );
    writeFileSync(join(work, "isnet.onnx"), assemble(join(work, "package", "dist")), { flush: true });
    renameSync(join(work, "isnet.onnx"), path);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (!existsSync(path)) {
  try {
    fetchModel();
  } catch (error) {
    console.error(`ISNet could not be fetched (npm package ${name}): ${error.message}`);
    process.exit(1);
  }
}
console.log(path);
