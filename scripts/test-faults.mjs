// Kills, fills and damages real trainings, and checks that each one, once resumed, ends bit for bit like an undisturbed
// one. Usage: npm run test:faults [-- --kills 50]. Needs the built program (dist/) and the engine; uses made-up images,
// no network.
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";

const { values } = parseArgs({
  options: { kills: { type: "string", default: "50" }, seed: { type: "string", default: "1" } },
});
const kills = Number(values.kills);
const program = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "filterbasis-faults-"));
let failures = 0;
let passed = 0;

const checks = [];

function check(name, good, detail = "") {
  checks.push({ name, good });
  console.log(`${good ? "ok  " : "FAIL"} ${name}${detail ? `: ${detail}` : ""}`);
  if (good) passed += 1;
  else failures += 1;
}

/** A stream of numbers that depends on the seed alone (mulberry32). */
function numbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = numbers(Number(values.seed));

/** Small images in class folders, with made-up content. */
async function makeData() {
  const folder = join(root, "data");
  const next = numbers(7);
  for (const [part, count] of [
    ["train", 40],
    ["test", 10],
  ]) {
    for (let label = 0; label < 10; label += 1) {
      const to = join(folder, part, `class${label}`);
      mkdirSync(to, { recursive: true });
      for (let i = 0; i < count; i += 1) {
        const pixels = Uint8Array.from({ length: 3 * 32 * 32 }, () => next() * (150 + 10 * label));
        await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
          .png()
          .toFile(join(to, `${i}.png`));
      }
    }
  }
  return folder;
}

const data = await makeData();
const recipe = join(root, "recipe.yaml");
const steps = 900;
writeFileSync(
  recipe,
  JSON.stringify({
    name: "faults",
    network: { name: "resnet", depth: 8, widths: [4, 8, 8], init: "kaiming" },
    data: { name: "folder", folder: data, batch: 16 },
    optimizer: { name: "sgd", lr: 0.02, momentum: 0.9 },
    epochs: 1000,
    steps,
    threads: 1,
    checkpoint: { everySteps: 7 },
  }),
);

/** Starts a training; `fate` may end it. Resolves with code, signal and what it said. */
function train(folder, { resume = existsSync(join(folder, "recipe.json")), fate, shell } = {}) {
  const args = resume ? ["train", folder, "--resume"] : ["train", recipe, "-o", folder];
  const [file, list] = shell
    ? ["bash", ["-c", `${shell}; exec "$0" "$@"`, process.execPath, program, ...args]]
    : [process.execPath, [program, ...args]];
  const child = spawn(file, list, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (text) => (said += text));
  child.stderr.on("data", (text) => (said += text));
  fate?.(child, () => said);
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, said })));
}

/**
 * What must be equal: the model's bytes, and every tensor of the last checkpoint (its state holds times, which differ).
 */
function outcome(folder) {
  const model = createHash("sha256")
    .update(readFileSync(join(folder, "last.onnx")))
    .digest("hex");
  const newest = checkpoints(folder)[0];
  const bytes = readFileSync(newest);
  const header = 8 + Number(bytes.readBigUInt64LE(0));
  return `${model} ${createHash("sha256").update(bytes.subarray(header)).digest("hex")}`;
}

function checkpoints(folder) {
  const names = readdirSync(join(folder, "checkpoints")).filter((name) => /^step-/.test(name));
  return names
    .sort()
    .reverse()
    .map((name) => join(folder, "checkpoints", name));
}

const losses = (folder) =>
  readFileSync(join(folder, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => kind === "step")
    .map(({ globalStep, loss }) => `${globalStep} ${loss}`)
    .join();

const calm = join(root, "calm");
const first = await train(calm);
check("the undisturbed training ends", first.code === 0, first.code === 0 ? "" : first.said.slice(-400));
const expected = outcome(calm);

async function killedManyTimes() {
  const folder = join(root, "killed");
  let done = 0;
  let whileWriting = 0;
  for (let life = 0; done < kills && life < kills * 4; life += 1) {
    const { signal, code, said } = await train(folder, {
      fate(child, saidSoFar) {
        // Half of them a random while after the first step; half as soon as a file is being written.
        const writing = life % 2 === 1;
        const poll = setInterval(() => {
          if (!existsSync(join(folder, "metrics.jsonl"))) return;
          if (writing) {
            const parts = [folder, join(folder, "checkpoints")]
              .filter(existsSync)
              .flatMap((path) => readdirSync(path))
              .filter((name) => name.endsWith(".part"));
            if (parts.length === 0) return;
            whileWriting += 1;
          }
          clearInterval(poll);
          setTimeout(() => child.kill("SIGKILL"), writing ? 0 : random() * 400);
        }, 1);
        child.on("close", () => clearInterval(poll));
        void saidSoFar;
      },
    });
    if (signal === "SIGKILL") done += 1;
    else if (code === 0) break;
    else check("a life ends by the kill or by success", false, said.slice(-400));
  }
  const last = await train(folder);
  check(
    `killed ${done} times (${whileWriting} while a file was being written), then resumed: it ends`,
    last.code === 0,
    last.code === 0 ? "" : last.said.slice(-400),
  );
  check("its weights are those of the undisturbed training, bit for bit", outcome(folder) === expected);
  check("its losses are those of the undisturbed training", losses(folder) === losses(calm));
  check("enough kills were landed before it ended", done >= kills, `${done} of ${kills}`);
}

async function fullDisk() {
  const folder = join(root, "full");
  mkdirSync(folder);
  // Files of at most 64 blocks of 1 KiB: the journal fills up in the middle.
  const limited = await train(folder, { shell: "ulimit -f 64; trap '' XFSZ" });
  check(
    "a training whose disk is full fails with a typed error",
    limited.code === 1 && /error io/.test(limited.said),
    `code ${limited.code}: ${limited.said.slice(-200)}`,
  );
  const rest = await train(folder);
  check("with room again it goes on", rest.code === 0, rest.code === 0 ? "" : rest.said.slice(-400));
  check("and ends as the undisturbed one", outcome(folder) === expected);
}

async function tmpfs() {
  const folder = join(root, "tmpfs");
  mkdirSync(folder);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=192k", "tmpfs", folder], { stdio: "ignore" });
  } catch {
    console.log("skip a full tmpfs: mounting one needs root");
    return;
  }
  try {
    const limited = await train(folder);
    check(
      "a training on a full file system fails with a typed error",
      limited.code === 1 && /error io/.test(limited.said),
      limited.said.slice(-200),
    );
    execFileSync("mount", ["-o", "remount,size=64m", folder]);
    const rest = await train(folder);
    check(
      "with room again it goes on and ends as the undisturbed one",
      rest.code === 0 && outcome(folder) === expected,
      rest.said.slice(-200),
    );
  } finally {
    execFileSync("umount", [folder]);
  }
}

async function stopped(signal, code) {
  const folder = join(root, signal);
  const end = await train(folder, {
    fate: (child, said) =>
      setTimeout(function poll() {
        if (said().includes("loss")) child.kill(signal);
        else setTimeout(poll, 20);
      }, 20),
  });
  check(
    `${signal} saves and ends with ${code}`,
    end.code === code && checkpoints(folder).length > 0,
    `code ${end.code}`,
  );
  return folder;
}

async function damaged(how) {
  const folder = join(root, how);
  await train(folder, {
    fate: (child) => {
      const poll = setInterval(() => {
        if (existsSync(join(folder, "checkpoints")) && checkpoints(folder).length > 1) {
          clearInterval(poll);
          child.kill("SIGKILL");
        }
      }, 5);
      child.on("close", () => clearInterval(poll));
    },
  });
  const newest = checkpoints(folder)[0];
  const size = statSync(newest).size;
  const file = openSync(newest, "r+");
  if (how === "truncated") ftruncateSync(file, Math.floor(size * random()));
  else writeSync(file, Buffer.from([0xa5, 0x5a, 0xff]), 0, 3, Math.floor((size - 3) * random()));
  closeSync(file);
  const rest = await train(folder);
  check(
    `a ${how} newest checkpoint: it says so, falls back, and ends as the undisturbed one`,
    rest.code === 0 && /damaged/.test(rest.said) && outcome(folder) === expected,
    rest.said.slice(-200),
  );
}

async function twoAtOnce() {
  const folder = join(root, "two");
  const one = train(folder);
  while (!existsSync(join(folder, "metrics.jsonl"))) await new Promise((resolve) => setTimeout(resolve, 5));
  const two = await train(folder, { resume: true });
  check(
    "a second training in the same folder is refused",
    two.code === 1 && /error busy/.test(two.said),
    two.said.slice(-200),
  );
  check("and the first is not disturbed", (await one).code === 0 && outcome(folder) === expected);
}

await killedManyTimes();
await fullDisk();
await tmpfs();
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
]) {
  const folder = await stopped(signal, code);
  const rest = await train(folder);
  check(
    `after ${signal} it goes on and ends as the undisturbed one`,
    rest.code === 0 && outcome(folder) === expected,
    rest.said.slice(-200),
  );
}
await damaged("truncated");
await damaged("flipped");
await twoAtOnce();
rmSync(root, { recursive: true, force: true });
const git = (...args) =>
  execFileSync("git", args, { cwd: fileURLToPath(new URL("..", import.meta.url)), encoding: "utf8" }).trim();
const result = {
  command: `npm run test:faults -- --kills ${kills} --seed ${values.seed}`,
  date: new Date().toISOString(),
  commit: git("rev-parse", "--short", "HEAD"),
  machine: `${cpus()[0]?.model.trim()}, ${cpus().length} threads, Node ${process.version}`,
  steps,
  checks,
};
writeFileSync(new URL("../results/faults.json", import.meta.url), `${JSON.stringify(result, null, 2)}\n`);
console.log(`${passed} passed, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
