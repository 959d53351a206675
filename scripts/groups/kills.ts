// A rank killed at random moments, again and again, until the run comes to its end.
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { allEnded, freePort, type Member, startGroup } from "../../test/groups.js";
import {
  check,
  codes,
  faultRecipe,
  fresh,
  kills,
  lastWords,
  now,
  random,
  same,
  timeout,
  train,
  within,
} from "./suite.js";

interface Kills {
  /** Seconds until the other rank had ended: where the run was training, and where it was still starting. */
  readonly training: number[];
  readonly starting: number[];
  /** How often the other did not name the one that was killed. */
  unnamed: number;
  readonly wrong: string[];
}

const count = ({ training, starting: early }: Kills): number => training.length + early.length;

export async function killed(): Promise<void> {
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
    longest < timeout + now.starting,
    `${found.training.length} times, ${longest.toFixed(1)} s at most`,
  );
  // Killed before they met: the other has still to start, and then waits as long as the timeout says.
  const starts = Math.max(0, ...found.starting);
  check(
    "and when it started",
    starts < timeout + 2 * now.starting,
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
