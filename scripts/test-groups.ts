// Trainings by several processes, started as launchers start them, on one machine and on two hosts (network namespaces
// with a link between); and what may go wrong: each ends in a typed error on every rank within the timeout, and goes on
// bit for bit. Usage: npm run test:groups [-- --kills 20 --seed 1 --only NAME]. Needs the built program and the engine; root for hosts.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Random } from "../src/linalg/random.js";
import { engineInfo } from "../src/torch/index.js";
import {
  allEnded,
  apart,
  classifier,
  type Ended,
  freePort,
  losses,
  type Member,
  outcome,
  patches,
  program,
  startGroup,
  startMember,
  variables,
  writeImages,
  writeRecipe,
} from "../test/groups.js";
import { type Hosts, openHosts } from "../test/hosts.js";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    out: { type: "string", default: "results/groups.json" },
  },
});
const [kills, seed] = [Number(values.kills), Number(values.seed)];
const random = new Random(`groups ${seed}`);
const root = mkdtempSync(join(tmpdir(), "filterbasis-groups-"));
process.env.FILTERBASIS_CACHE = join(root, "cache");
await writeImages(root);

interface Check {
  readonly suite: string;
  readonly name: string;
  readonly good: boolean;
  readonly detail?: string;
}
const checks: Check[] = [];
const skipped: { readonly suite: string; readonly reason: string }[] = [];
let suite = "";

function check(name: string, good: boolean, detail = ""): void {
  checks.push({ suite, name, good, ...(detail !== "" && { detail }) });
  console.log(`${good ? "ok  " : "FAIL"} ${suite}: ${name}${detail === "" ? "" : `: ${detail}`}`);
}

const train = (...words: readonly string[]): readonly string[] => [...program(), "train", ...words];
const fresh = (name: string): string => join(root, `${name}-${random.int(2 ** 30)}`);
const codes = (ended: readonly Ended[]): string => ended.map(({ code, signal }) => signal ?? code).join(" ");
const lastWords = (ended: readonly Ended[]): string =>
  ended
    .map(({ rank, said }) => `rank ${rank}: ${said.trim().split("\n").slice(-2).join(" / ").slice(0, 300)}`)
    .join(" | ");

/**
 * Seconds that a training takes to begin and to end, on a machine with other work: several times what the program takes to tell its
 * version, which is measured when a suite begins.
 */
let starting = 5;

async function measureStart(): Promise<void> {
  const [told] = await allEnded([startMember(0, [...program(), "--version"], {})]);
  starting = 3 + (10 * told!.took) / 1000;
}

/** Seconds that a fault may take to be told on every rank. */
const timeout = 8;
const within = ["--timeout", String(timeout)];

const patchRecipe = writeRecipe(join(root, "patches.json"), patches(root));
const faultRecipe = writeRecipe(
  join(root, "faults.json"),
  classifier(root, { epochs: 60, threads: 1, checkpoint: { everySteps: 5 } }),
);

/** The losses of one process on the whole batch, that all others are held against. */
const whole = join(root, "whole");
const [reference] = await allEnded([startMember(0, train(patchRecipe, "-o", whole, "--threads", "1"), {})]);
if (reference!.code !== 0) throw new Error(`the reference run failed: ${reference!.said}`);

function sameAsWhole(name: string, run: string, ended: readonly Ended[]): void {
  const ok = ended.every(({ code }) => code === 0);
  if (!ok) {
    check(name, false, lastWords(ended));
    return;
  }
  const difference = apart(losses(whole), losses(run));
  // The weights of all ranks are compared in the training itself, each epoch; a difference would have ended it.
  check(name, difference < 1e-5, `${losses(run).length} steps, losses apart by ${difference.toExponential(1)} at most`);
}

async function launchers(): Promise<void> {
  for (const size of [2, 4]) {
    const byVariables = fresh("variables");
    sameAsWhole(
      `${size} ranks by environment variables`,
      byVariables,
      await allEnded(startGroup(train(patchRecipe, "-o", byVariables, ...within), size, await freePort())),
    );
    const local = fresh("local");
    const words = train(patchRecipe, "-o", local, "--processes", String(size), ...within);
    sameAsWhole(`--processes ${size}`, local, await allEnded([startMember(0, words, {})]));
  }
}

async function mpirun(): Promise<void> {
  if (spawnSync("mpirun", ["--version"]).status !== 0)
    return void skip("there is no mpirun: apt-get install openmpi-bin");
  const run = fresh("mpi");
  const port = await freePort();
  const place = ["-x", "MASTER_ADDR=127.0.0.1", "-x", `MASTER_PORT=${port}`, "-x", "OMP_NUM_THREADS=1"];
  const mpi = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "2", ...place];
  const ended = await allEnded([startMember(0, [...mpi, ...train(patchRecipe, "-o", run, ...within)], {})]);
  sameAsWhole("2 ranks by mpirun", run, ended);
  const said = ended[0]!.said.match(/run folder/g)?.length ?? 0;
  check("only rank 0 says what came out", said === 1, `${said} times`);
}

async function torchrun(): Promise<void> {
  const python = ["/usr/bin/python3", "python3"].find(
    (name) => spawnSync(name, ["-c", "import torch.distributed.run"]).status === 0,
  );
  if (python === undefined) return void skip("there is no Python with torch: apt-get install python3-torch");
  const run = fresh("torchrun");
  // The agent of torch 1.13 takes no 0 for these under Python 3.11.
  const outputs = ["--redirects", "2", "--tee", "1", "--log_dir", fresh("torchrun-logs")];
  const words = [python, "-m", "torch.distributed.run", "--no_python", ...outputs, "--nproc_per_node", "2"];
  const place = ["--master_addr", "127.0.0.1", "--master_port", String(await freePort())];
  const ended = await allEnded([startMember(0, [...words, ...place, ...train(patchRecipe, "-o", run, ...within)], {})]);
  sameAsWhole("2 ranks by torchrun", run, ended);
}

function skip(reason: string): void {
  skipped.push({ suite, reason });
  console.log(`skip ${suite}: ${reason}`);
}

/** Faults told: exit code 1 and a typed error on every rank that lives. */
function told(name: string, ended: readonly Ended[], pattern: RegExp): void {
  const alive = ended.filter(({ signal }) => signal === null);
  const bad = alive.filter(({ code, said }) => code !== 1 || !pattern.test(said));
  const slowest = Math.max(...alive.map(({ took }) => took)) / 1000;
  check(
    name,
    bad.length === 0 && slowest < timeout + starting,
    bad.length > 0 ? lastWords(bad) : `told after ${slowest.toFixed(1)} s`,
  );
}

interface Kills {
  /** Seconds until the other rank had ended: where the run was training, and where it was still starting. */
  readonly training: number[];
  readonly starting: number[];
  /** How often the other did not name the one that was killed. */
  unnamed: number;
  readonly wrong: string[];
}

const count = ({ training, starting: early }: Kills): number => training.length + early.length;

async function killed(): Promise<void> {
  const calm = fresh("calm");
  const undisturbed = await allEnded(startGroup(train(faultRecipe, "-o", calm, ...within), 2, await freePort()));
  check(
    "an undisturbed run ends",
    undisturbed.every(({ code }) => code === 0),
    codes(undisturbed),
  );
  const usual = Math.max(...undisturbed.map(({ took }) => took));
  const run = fresh("killed");
  const found: Kills = { training: [], starting: [], unnamed: 0, wrong: [] };
  for (let finished = false; !finished; ) {
    finished = await life(run, usual, found);
    if (!finished || count(found) >= kills) continue;
    rmSync(run, { recursive: true, force: true }); // it came to its end before the last kill: once more
    finished = false;
  }
  const times = count(found);
  check(
    `a rank killed at ${times} random moments: the other ends with a typed error`,
    found.wrong.length === 0,
    found.wrong[0],
  );
  check("and names the one that is gone", found.unnamed === 0, `${found.unnamed} of ${times} did not`);
  const longest = Math.max(0, ...found.training);
  check(
    "within the timeout, when it trained",
    longest < timeout + starting,
    `${found.training.length} times, ${longest.toFixed(1)} s at most`,
  );
  // Killed before they met: the other has still to start, and then waits as long as the timeout says.
  const starts = Math.max(0, ...found.starting);
  check(
    "and when it started",
    starts < timeout + 2 * starting,
    `${found.starting.length} times, ${starts.toFixed(1)} s at most`,
  );
  check("and the run ends bit for bit like the undisturbed one", same(run, calm));
}

/** Begins or resumes a run, and kills one of its ranks at a random moment; true where the run came to its end. */
async function life(run: string, usual: number, found: Kills): Promise<boolean> {
  const before = steps(run);
  const members = startGroup(await begun(run, train(run, "--resume", ...within)), 2, await freePort());
  const victim = random.int(2);
  const last = count(found) >= kills;
  const at = last ? undefined : await orEnded(members, 300 + random.int(Math.ceil(0.8 * usual)));
  if (at === undefined) {
    const ended = await allEnded(members);
    if (ended.some(({ code }) => code !== 0)) found.wrong.push(lastWords(ended));
    return true;
  }
  const start = performance.now();
  const trains = steps(run) !== before;
  members[victim]!.child.kill("SIGKILL");
  const other = (await allEnded(members))[1 - victim]!;
  (trains ? found.training : found.starting).push((performance.now() - start) / 1000);
  if (!new RegExp(`error group: .*rank ${victim} `).test(other.said) && other.code !== 0) found.unnamed++;
  if (other.code !== 1 || !/error group/.test(other.said)) found.wrong.push(lastWords([other]));
  return false;
}

/** Grows with every step that a run records. */
function steps(run: string): number {
  try {
    return readFileSync(join(run, "metrics.jsonl")).length;
  } catch {
    return 0;
  }
}

/** A try that was killed before its first step is begun anew by the same command. */
async function begun(run: string, words: readonly string[]): Promise<readonly string[]> {
  const holds = (() => {
    try {
      return readdirSync(join(run, "checkpoints")).some((name) => name.startsWith("step-"));
    } catch {
      return false;
    }
  })();
  if (holds) return words;
  rmSync(run, { recursive: true, force: true });
  return train(faultRecipe, "-o", run, ...within);
}

async function orEnded(members: readonly Member[], moment: number): Promise<number | undefined> {
  const ended = Promise.race(members.map(({ ended: end }) => end)).then(() => undefined);
  return await Promise.race([sleep(moment).then(() => moment), ended]);
}

function same(run: string, calm: string): boolean {
  const [a, b] = [outcome(run), outcome(calm)];
  return a.model === b.model && a.checkpoint === b.checkpoint && a.metrics === b.metrics;
}

async function allKilled(): Promise<void> {
  const calm = fresh("calm4");
  const short = writeRecipe(
    join(root, "four.json"),
    classifier(root, { epochs: 12, threads: 1, checkpoint: { everySteps: 5 } }),
  );
  await allEnded(startGroup(train(short, "-o", calm, ...within), 4, await freePort()));
  const run = fresh("killed4");
  const words = ["--processes", "4", ...within];
  const first = startMember(0, train(short, "-o", run, ...words), {});
  let said = "";
  first.child.stderr!.on("data", (text: string) => {
    said += text;
    if (/epoch 4:/.test(said)) first.child.kill("SIGKILL");
  });
  await first.ended;
  await sleep(3000); // its processes see that it is gone, and stop
  const held = readFileSync(join(run, "log.txt"), "utf8");
  check("the processes of a killed --processes stop by themselves", /stopped after \d+ steps/.test(held));
  const ended = await allEnded([startMember(0, train(run, "--resume", ...words), {})]);
  check("and the run goes on", ended[0]!.code === 0, ended[0]!.code === 0 ? "" : lastWords(ended));
  check("bit for bit", same(run, calm));
}

async function otherNumber(): Promise<void> {
  const run = fresh("other");
  const first = startMember(0, train(faultRecipe, "-o", run, "--processes", "2", ...within), {});
  let heard = "";
  first.child.stderr!.on("data", (text: string) => {
    heard += text;
    if (/epoch 2:/.test(heard)) first.child.kill("SIGINT");
  });
  const stopped = await first.ended;
  check("Ctrl-C stops all with a checkpoint", stopped.code === 130, `code ${stopped.code}`);
  const [goes] = await allEnded([startMember(0, train(run, "--resume", "--processes", "3", ...within), {})]);
  check("another number of processes goes on", goes!.code === 0, goes!.code === 0 ? "" : lastWords([goes!]));
  check("and says so", /the run goes on with 3 processes, before it had 2/.test(goes!.said));
}

async function wrongStarts(): Promise<void> {
  const port = await freePort();
  const words = train(faultRecipe, "-o", fresh("sizes"), ...within);
  const sizes = await allEnded([2, 3].map((size, rank) => startMember(rank, words, variables(rank, size, port))));
  told("a wrong WORLD_SIZE", sizes, /error group: field "WORLD_SIZE"/);

  const missing = await allEnded([startMember(0, words, variables(0, 2, await freePort()))]);
  told("a rank that does not come", missing, /error group: rank 1 did not come/);

  const server = createServer(() => undefined);
  const taken = await new Promise<number>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
  );
  told(
    "a port that another program has",
    await allEnded(startGroup(words, 2, taken)),
    /error group: field "MASTER_(PORT|ADDR)"/,
  );
  server.close();

  const run = fresh("shared");
  const first = startGroup(train(faultRecipe, "-o", run, ...within), 2, await freePort());
  await until(() => readdirSync(run).includes("metrics.jsonl"));
  const second = await allEnded(startGroup(train(run, "--resume", ...within), 2, await freePort()));
  told("two runs in one folder: the second", second, /error (busy|group: .*rank 0 failed: busy)/);
  const ended = await allEnded(first);
  check(
    "and the first ends undisturbed",
    ended.every(({ code }) => code === 0),
    codes(ended),
  );

  const samePort = await freePort();
  const one = startGroup(train(faultRecipe, "-o", fresh("port-a"), ...within), 2, samePort);
  await sleep(2500);
  const other = await allEnded(startGroup(train(faultRecipe, "-o", fresh("port-b"), ...within), 2, samePort));
  told("two runs at one port: the second", other, /error group/);
  check(
    "and the first ends undisturbed",
    (await allEnded(one)).every(({ code }) => code === 0),
  );

  const otherRecipe = writeRecipe(join(root, "other-recipe.json"), classifier(root, { seed: 4 }));
  const where = await freePort();
  const mixed = fresh("recipes");
  const recipes = await allEnded(
    [faultRecipe, otherRecipe].map((recipe, rank) =>
      startMember(rank, train(recipe, "-o", mixed, ...within), variables(rank, 2, where)),
    ),
  );
  told("another recipe at one rank", recipes, /error group: .*rank 1 (was given another recipe|failed: group)/);
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    try {
      if (condition()) return;
    } catch {}
    await sleep(50);
  }
}

async function hosts(): Promise<void> {
  const opened = openHosts();
  if ("reason" in opened) return void skip(opened.reason);
  try {
    await onHosts(opened);
  } finally {
    opened.close();
  }
}

async function onHosts({ inside, address, link }: Hosts): Promise<void> {
  const start = async (words: readonly string[]): Promise<readonly Member[]> => {
    const port = 20_000 + random.int(10_000);
    return [0, 1].map((rank) => startMember(rank, [...inside(rank), ...words], variables(rank, 2, port, address)));
  };
  const run = fresh("hosts");
  sameAsWhole("2 ranks on two hosts", run, await allEnded(await start(train(patchRecipe, "-o", run, ...within))));

  const calm = fresh("hosts-calm");
  await allEnded(await start(train(faultRecipe, "-o", calm, ...within)));
  const cut = fresh("hosts-cut");
  const members = await start(train(faultRecipe, "-o", cut, ...within));
  await until(() => readFileSync(join(cut, "log.txt"), "utf8").includes("epoch 3:"));
  const ends = members.map(({ ended }) => ended.then(() => performance.now()));
  const began = performance.now();
  link("down");
  const ended = await allEnded(members);
  const slowest = Math.max(...(await Promise.all(ends))) - began;
  const bad = ended.filter(({ code, said }) => code !== 1 || !/error group/.test(said));
  check(
    "the link set down: a typed error on both",
    bad.length === 0,
    bad.length > 0 ? lastWords(bad) : lastWords(ended),
  );
  check("within the timeout", slowest < 1000 * (timeout + starting), `${(slowest / 1000).toFixed(1)} s`);
  check("each names the other", /rank 1/.test(ended[0]!.said) && /rank 0/.test(ended[1]!.said));
  link("up");
  const resumed = await allEnded(await start(train(cut, "--resume", ...within)));
  check(
    "restored, the run goes on",
    resumed.every(({ code }) => code === 0),
    codes(resumed),
  );
  check("and ends bit for bit like the undisturbed one", same(cut, calm));

  const brief = fresh("hosts-brief");
  const through = await start(train(faultRecipe, "-o", brief, ...within));
  await until(() => readFileSync(join(brief, "log.txt"), "utf8").includes("epoch 3:"));
  link("down");
  await sleep(1000);
  link("up");
  const passed = await allEnded(through);
  check(
    "a link down for a second is waited out",
    passed.every(({ code }) => code === 0),
    lastWords(passed).slice(0, 300),
  );
  check("bit for bit", passed.every(({ code }) => code === 0) && same(brief, calm));
}

const suites = { launchers, mpirun, torchrun, wrongStarts, otherNumber, allKilled, hosts, killed };
const started = performance.now();
for (const [name, run] of Object.entries(suites)) {
  if (values.only !== undefined && values.only !== name) continue;
  suite = name;
  await measureStart();
  await run();
}
rmSync(root, { recursive: true, force: true });
const failures = checks.filter(({ good }) => !good).length;
const engine = engineInfo();
const record = {
  ...{ seed, kills, timeoutSeconds: timeout, seconds: Math.round((performance.now() - started) / 1000) },
  machine: { host: hostname().replace(/[0-9a-f]{8,}/g, "host"), processor: cpus()[0]?.model, cores: cpus().length },
  versions: { node: process.version, libtorch: engine.version },
  ...{ passed: checks.length - failures, failures, skipped, checks },
};
if (values.only === undefined) writeFileSync(values.out, `${JSON.stringify(record, null, 2)}\n`);
console.log(`${checks.length - failures} of ${checks.length} hold`);
process.exit(failures === 0 ? 0 : 1);
