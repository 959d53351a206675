// Builds the native addon when it is out of date: finds libtorch, runs node-gyp through npm, stamps what was built.
// usage: node scripts/build-native.mjs [--force]      environment: LIBTORCH=/folder/with/include/and/lib, JOBS=2
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const native = resolve(dirname(fileURLToPath(import.meta.url)), "../native");
const lockFile = join(native, "build.lock");
const stampFile = join(native, "build", "stamp.json");

/** The file of a shared library. */
const libraryFile = (name) => `lib${name}.${process.platform === "darwin" ? "dylib" : "so"}`;

class Trouble extends Error {
  constructor(message, cures) {
    super(message);
    this.cures = cures;
  }
}

try {
  const torch = findLibtorch();
  const stamp = { sources: hashSources(), libtorch: torch, node: process.versions.modules, arch: process.arch };
  const release = process.argv.includes("--force") || !isBuilt(stamp) ? await lock() : undefined;
  // Another build may have ended while this one waited.
  if (!process.argv.includes("--force") && isBuilt(stamp)) {
    console.error(`The engine is built already, against libtorch ${torch.version} (${torch.root}).`);
  } else {
    build(torch);
    writeFileSync(`${stampFile}.tmp`, `${JSON.stringify(stamp, null, 2)}\n`);
    renameSync(`${stampFile}.tmp`, stampFile);
    console.error(`The engine is built, against libtorch ${torch.version} (${torch.root}).`);
  }
  release?.();
} catch (error) {
  if (existsSync(lockFile) && readFileSync(lockFile, "utf8") === String(process.pid)) rmSync(lockFile);
  if (!(error instanceof Trouble)) throw error;
  console.error(`The engine was not built: ${error.message}`);
  for (const cure of error.cures) console.error(`  - ${cure}`);
  process.exit(1);
}

/**
 * { root, include, libraries, version, cxx11Abi } of the first libtorch found: LIBTORCH, the system's, the one inside a
 * Python torch.
 */
function findLibtorch() {
  const asked = process.env.LIBTORCH;
  if (asked) {
    const found = inspect(resolve(asked));
    if (found) return found;
    throw new Trouble(`LIBTORCH=${asked} holds no libtorch.`, [
      `Point it at the folder that has include/torch/version.h and lib/${libraryFile("torch")}.`,
      "Or unset it.",
    ]);
  }
  const found = inspect("/usr") ?? inspect("/usr/local") ?? inspect("/opt/homebrew") ?? inspect(pythonTorch());
  if (found) return found;
  throw new Trouble("no libtorch was found.", [
    "Debian or Ubuntu: apt-get install libtorch-dev libopenblas0-pthread",
    "Any other: LIBTORCH=/path/to/libtorch npm run build:native (an unpacked official libtorch, or the torch folder of a Python installation)",
    "A Python torch is found by itself when `python3 -c 'import torch'` works.",
  ]);
}

function inspect(root) {
  if (!root) return undefined;
  const header = ["torch/headeronly/version.h", "torch/version.h", "torch/csrc/api/include/torch/version.h"]
    .map((file) => join(root, "include", file))
    .find(existsSync);
  const libraries = ["lib", `lib/${multiarch()}`, "lib64"]
    .map((folder) => join(root, folder))
    .find((folder) => existsSync(join(folder, libraryFile("torch"))));
  if (!header || !libraries) return undefined;
  const text = readFileSync(header, "utf8");
  const part = (name) => Number(new RegExp(`#define TORCH_VERSION_${name}\\s+(\\d+)`).exec(text)?.[1] ?? 0);
  const version = ["MAJOR", "MINOR", "PATCH"].map(part).join(".");
  // Official builds of some years used the old ABI of std::string: the mangled name of a function with a string
  // argument tells.
  const cxx11Abi = readFileSync(join(libraries, libraryFile("c10"))).includes(
    "torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_string",
  )
    ? 1
    : 0;
  return { root, include: join(root, "include"), libraries, version, cxx11Abi };
}

function multiarch() {
  return { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[process.arch] ?? `${process.arch}-linux-gnu`;
}

function pythonTorch() {
  const find =
    "import importlib.util,os;s=importlib.util.find_spec('torch');print(os.path.dirname(s.origin) if s else '')";
  const { status, stdout } = spawnSync("python3", ["-c", find], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : "";
}

/** Waits until no other build runs in this folder. */
async function lock() {
  for (;;) {
    try {
      writeFileSync(lockFile, String(process.pid), { flag: "wx" });
      return () => rmSync(lockFile, { force: true });
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (!isAlive(Number(readFileSync(lockFile, "utf8")))) rmSync(lockFile, { force: true });
    else await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

function isAlive(pid) {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch {
    return false;
  }
}

function hashSources() {
  const hash = createHash("sha256");
  const files = readdirSync(native, { recursive: true }).filter(
    (file) => /\.(cpp|h|gyp)$/.test(file) && !file.startsWith("build"),
  );
  for (const file of files.sort())
    hash
      .update(file)
      .update("\0")
      .update(readFileSync(join(native, file)))
      .update("\0");
  return hash.digest("hex");
}

function isBuilt(stamp) {
  const built = ["engine", "environment"].every((name) => existsSync(join(native, "build", "Release", `${name}.node`)));
  return built && existsSync(stampFile) && readFileSync(stampFile, "utf8").trim() === JSON.stringify(stamp, null, 2);
}

function build({ root, include, libraries, version, cxx11Abi }) {
  rmSync(stampFile, { force: true });
  mkdirSync(join(native, "build"), { recursive: true });
  for (const tool of ["make", "g++", "python3"]) {
    if (spawnSync(tool, ["--version"]).status !== 0)
      throw new Trouble(`${tool} is missing.`, ["Debian or Ubuntu: apt-get install build-essential python3"]);
  }
  const [major, minor] = version.split(".").map(Number);
  // /usr/include may not be named again: the compiler would look for its own headers in the wrong order.
  const folders = [...(root === "/usr" ? [] : [include]), join(include, "torch/csrc/api/include")];
  const variables = [
    `torch_includes=${folders.map((folder) => `-isystem ${folder}`).join(" ")}`,
    `torch_libraries=${libraries}`,
    `torch_cxx11_abi=${cxx11Abi}`,
    `cxx_standard=${major > 2 || (major === 2 && minor >= 9) ? "c++20" : "c++17"}`,
    ...groupVariables(include, libraries),
  ];
  // Node-API's headers ship with most Node installations; otherwise node-gyp fetches them.
  const headers = resolve(dirname(process.execPath), "..");
  const nodedir =
    !configuredNodedir() && existsSync(join(headers, "include/node/node_api.h")) ? [`--nodedir=${headers}`] : [];
  const shared = [`--directory=${native}`, "--release", ...nodedir];
  const configure = ["node-gyp", "configure", ...shared, "--", ...variables.map((variable) => `-D${variable}`)];
  // Not "rebuild": make sees itself what changed, flags included, and the addon in use stays in place until the new one
  // is linked.
  const make = ["node-gyp", "build", ...shared, `--jobs=${process.env.JOBS ?? "max"}`];
  if (process.argv.includes("--force")) rmSync(join(native, "build"), { recursive: true, force: true });
  const quote = (words) => words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  // Through npm, because npm brings node-gyp and its settings (nodedir, proxies).
  const { status, error } = spawnSync("npm", ["exec", "--offline", "--call", `${quote(configure)} && ${quote(make)}`], {
    stdio: ["ignore", 2, 2],
  });
  if (error) throw new Trouble(`npm could not be started: ${error.message}`, ["Install npm, or add it to PATH."]);
  if (status !== 0) {
    throw new Trouble("the compilation failed; its messages are above.", [
      "Debian or Ubuntu: apt-get install build-essential python3 libtorch-dev libopenblas0-pthread",
      "Headers of Node missing and no network: npm config set nodedir /usr, or apt-get install libnode-dev",
      `Tried: libtorch ${version} in ${root}, Node ${process.version}. LIBTORCH=/path chooses another libtorch.`,
    ]);
  }
}

/** Process groups where libtorch has c10d with Gloo; NCCL where CUDA's and NCCL's headers lie about too. */
function groupVariables(include, libraries) {
  const header = (name) => existsSync(join(include, "torch/csrc/distributed/c10d", name));
  const holds = (library, name) => {
    const file = join(libraries, libraryFile(library));
    return existsSync(file) && readFileSync(file).includes(name);
  };
  if (!header("ProcessGroupGloo.hpp") || !holds("torch_cpu", "16ProcessGroupGloo")) return [];
  const defines = ["FILTERBASIS_GROUPS", "USE_C10D_GLOO"];
  const cuda = cudaFolders(include);
  const nccl = header("ProcessGroupNCCL.hpp") && holds("torch_cuda", "16ProcessGroupNCCL") && cuda !== undefined;
  if (!nccl) return [`group_defines=${defines.join(" ")}`];
  return [
    `group_defines=${[...defines, "USE_C10D_NCCL"].join(" ")}`,
    `group_includes=${cuda.map((folder) => `-isystem ${folder}`).join(" ")}`,
    "group_libraries=-ltorch_cuda -lc10_cuda",
  ];
}

/**
 * Folders with the headers of CUDA and NCCL: those of a toolkit, or of the packages beside a Python torch. The package
 * of CUDA 13's runtime has no crt/host_config.h, which its cuda_runtime.h includes: the folder that has it comes first.
 */
function cudaFolders(include) {
  const packages = resolve(include, "../../nvidia");
  const beside = existsSync(packages) ? readdirSync(packages).map((name) => join(packages, name, "include")) : [];
  const toolkit = [process.env.CUDA_HOME, "/usr/local/cuda", "/usr"].flatMap((root) =>
    root ? [join(root, "include")] : [],
  );
  const found = [...beside, ...toolkit].filter(existsSync);
  const needed = ["crt/host_config.h", "cuda_runtime_api.h", "nccl.h", "cusparse.h", "cublas_v2.h", "cusolverDn.h"].map(
    (name) => found.find((folder) => existsSync(join(folder, name))),
  );
  if (needed.includes(undefined)) return undefined;
  // /usr/include may not be named again.
  return [...new Set([...needed, ...beside.filter(existsSync)])].filter((folder) => folder !== "/usr/include");
}

function configuredNodedir() {
  if (process.env.npm_config_nodedir) return true;
  const { stdout } = spawnSync("npm", ["config", "get", "nodedir"], { encoding: "utf8" });
  return Boolean(stdout) && stdout.trim() !== "" && stdout.trim() !== "undefined" && stdout.trim() !== "null";
}
