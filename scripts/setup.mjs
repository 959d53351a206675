// Sets up everything the project needs, once; seconds when all is there. Only Node's own modules: nothing is installed
// yet.
//
//   node scripts/setup.mjs             npm packages, system packages, the native addon, dist/
//   node scripts/setup.mjs --dry-run   says what it would do
//   node scripts/setup.mjs --pictures  the demo's photographs too, where apt has them; without them the demo says what is missing
//   node scripts/setup.mjs --package   in an installed package: system packages and the addon only (`filterbasis setup`)
//
// LIBTORCH=/path uses that libtorch; else Debian's or Ubuntu's libtorch-dev, else the one inside Python's torch.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dryRun = process.argv.includes("--dry-run");
const installed = process.argv.includes("--package");

/** Stops with the cure: an exit, not a stack. */
function stop(problem, ...cures) {
  console.error(`set-up stopped: ${problem}`);
  for (const cure of cures) console.error(`  cure: ${cure}`);
  process.exit(1);
}

function run(command, args, { cure, env = {}, quiet = false } = {}) {
  console.error(`set-up: ${[command, ...args].join(" ")}`);
  if (dryRun) return;
  const stdio = quiet ? ["ignore", "pipe", "pipe"] : ["ignore", 2, 2]; // all of it is progress: stdout stays free
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    stdio,
    env: { ...process.env, ...env },
    encoding: "utf8",
  });
  if (error === undefined && status === 0) return;
  if (quiet) process.stderr.write(`${stdout ?? ""}${stderr ?? ""}`);
  stop(
    `${command} ${args[0] ?? ""} ${error ? `could not be started (${error.message})` : `ended with code ${status}`}`,
    ...[cure ?? []].flat(),
  );
}

const succeeds = (command, args) => spawnSync(command, args, { stdio: "ignore" }).status === 0;

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    stop(`Node ${process.versions.node} is too old`, "install Node 20.19 or newer");
}

/** The packages that package-lock.json names and node_modules lacks; those for other platforms are optional. */
function missingPackages() {
  const installed = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return ["node_modules"];
  const have = JSON.parse(readFileSync(installed, "utf8")).packages;
  const want = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  return Object.entries(want)
    .filter(([path, { version, optional }]) => path !== "" && !optional && have[path]?.version !== version)
    .map(([path]) => path);
}

function npmPackages() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  const more = missing.length > 1 ? ` and ${missing.length - 1} more` : "";
  console.error(`set-up: npm packages (${missing[0]}${more} not there)`);
  // onnxruntime-node would otherwise download CUDA libraries that nothing here uses.
  const env = { ONNXRUNTIME_NODE_INSTALL: "skip" };
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    env,
    cure: "see npm's message above; is its registry reachable? (npm ping)",
  });
}

const hasLibtorch = (folder) =>
  existsSync(join(folder, process.platform === "darwin" ? "libtorch.dylib" : "libtorch.so"));

/** Where Debian, Ubuntu and Homebrew put it; scripts/build-native.mjs then looks closer. */
function systemLibtorch() {
  const multiarch = { x64: "x86_64-linux-gnu", arm64: "aarch64-linux-gnu" }[process.arch];
  return [`/usr/lib/${multiarch}`, "/usr/local/lib", "/opt/homebrew/lib"].some(hasLibtorch);
}

/** A torch that Python would import; importing it would take seconds. */
function pythonLibtorch() {
  const code =
    "import importlib.util as u, os; s = u.find_spec('torch'); print(os.path.dirname(s.origin) if s else '')";
  const { stdout } = spawnSync("python3", ["-c", code], { encoding: "utf8" });
  return Boolean(stdout?.trim()) && hasLibtorch(join(stdout.trim(), "lib"));
}

function isInstalled(name) {
  const { stdout } = spawnSync("dpkg-query", ["--status", name], { encoding: "utf8" });
  return /^Status: .* installed$/m.test(stdout ?? "");
}

/**
 * The system packages to install: a compiler, and libtorch with a BLAS of full speed unless another libtorch is there.
 */
function wantedSystemPackages() {
  const wanted = [];
  if (!succeeds("g++", ["--version"])) wanted.push("g++");
  if (!succeeds("make", ["--version"])) wanted.push("make");
  if (!succeeds("python3", ["--version"])) wanted.push("python3");
  if (process.env.LIBTORCH) return wanted; // scripts/build-native.mjs says whether it is one
  if (!systemLibtorch() && !pythonLibtorch()) wanted.push("libtorch-dev");
  // The reference BLAS, which libtorch-dev is content with, is some fifty times slower than OpenBLAS.
  const debians = wanted.includes("libtorch-dev") || systemLibtorch();
  if (debians && !isInstalled("libopenblas0-pthread")) wanted.push("libopenblas0-pthread");
  return wanted;
}

/** The command of other systems' package managers, from their documentation; a compiler is what they have to give. */
function otherSystems(wanted) {
  const compiler = wanted.filter((name) => ["g++", "make", "python3"].includes(name));
  if (compiler.length === 0) return [];
  const managers = [
    ["dnf", "sudo dnf install gcc-c++ make python3"],
    ["pacman", "sudo pacman -S gcc make python"],
    ["zypper", "sudo zypper install gcc-c++ make python3"],
    ["apk", "no build of libtorch runs on musl: use a system with glibc"],
  ];
  if (process.platform === "darwin") return ["xcode-select --install"];
  return managers.filter(([program]) => succeeds(program, ["--version"])).map(([, command]) => command);
}

function systemPackages() {
  const wanted = wantedSystemPackages();
  if (wanted.length === 0) return;
  const command = `apt-get update && apt-get install -y --no-install-recommends ${wanted.join(" ")}`;
  if (process.platform !== "linux" || !succeeds("apt-get", ["--version"])) {
    stop(
      `missing: ${wanted.join(", ")}`,
      "install them with this system's package manager",
      ...otherSystems(wanted),
      "libtorch: unpack the one of pytorch.org, then LIBTORCH=/path/to/libtorch",
    );
  }
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && !succeeds("sudo", ["-n", "true"])) stop(`missing: ${wanted.join(", ")}`, `sudo sh -c '${command}'`);
  const [program, before] = isRoot ? ["apt-get", []] : ["sudo", ["-n", "apt-get"]];
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const otherwise = [
    "libtorch can also be had otherwise: pip install torch, or LIBTORCH=/path/to/libtorch",
    "see apt's message above",
  ];
  run(program, [...before, "update", "-q"], { env, quiet: true, cure: "see apt's message above" });
  if (!dryRun) console.error("set-up: apt says nothing until it is done, which takes minutes");
  run(program, [...before, "install", "-y", "-q", "--no-install-recommends", ...wanted], {
    env,
    quiet: true,
    cure: otherwise,
  });
}

/**
 * Freely licensed photographs in a Debian package. They are wished for, not needed: what fails here only leaves a note.
 */
function photographs() {
  const name = "lomiri-wallpapers-16.04";
  if (!process.argv.includes("--pictures") || isInstalled(name) || !succeeds("apt-get", ["--version"])) return;
  const isRoot = process.getuid?.() === 0;
  const cure = `the demo then shows no super-resolution; later: apt-get install ${name}`;
  if (!isRoot && !succeeds("sudo", ["-n", "true"])) return console.error(`set-up: no photographs (${cure})`);
  const command = isRoot ? [] : ["sudo", "-n"];
  console.error(`set-up: photographs for the demo (${name})`);
  if (dryRun) return;
  const apt = (...args) => {
    const [program, ...rest] = [...command, "apt-get", ...args];
    return (
      spawnSync(program, rest, { stdio: "ignore", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } })
        .status === 0
    );
  };
  const install = () => apt("install", "-y", "-q", "--no-install-recommends", name);
  if (!install() && !(apt("update", "-q") && install())) console.error(`set-up: apt has no ${name} (${cure})`);
}

function nativeAddon() {
  // Idempotent by itself: it knows what the addon is built from.
  run(process.execPath, ["scripts/build-native.mjs"], {
    cure: `see the compiler's message above; then ${installed ? "filterbasis setup" : "npm run setup"} again`,
  });
}

/** dist/ is older than what it is built from. */
function distIsStale() {
  const stamp = join(root, "dist/index.js"); // the compiler writes every file each time
  if (!existsSync(stamp)) return true;
  const built = statSync(stamp).mtimeMs;
  const sources = readdirSync(join(root, "src"), { recursive: true }).map((name) => join(root, "src", name));
  return [...sources, join(root, "tsconfig.json"), join(root, "tsconfig.build.json"), join(root, "package.json")].some(
    (path) => statSync(path).mtimeMs > built,
  );
}

function dist() {
  if (!distIsStale()) return;
  run("npm", ["run", "--silent", "build"], { cure: "mend what the compiler says" });
}

checkNode();
if (!installed) npmPackages();
systemPackages();
if (!installed) photographs();
nativeAddon();
if (!installed) dist();
console.error(dryRun ? "set-up: dry run, nothing done" : "set-up: ready");
