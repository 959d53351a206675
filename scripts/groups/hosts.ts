// Two hosts: the same losses, a link that is cut and restored.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { allEnded, type Member, startMember, variables } from "../../test/groups.js";
import { type Hosts, openHosts } from "../../test/hosts.js";
import {
  check,
  codes,
  faultRecipe,
  fresh,
  lastWords,
  now,
  patchRecipe,
  random,
  same,
  sameAsWhole,
  skip,
  timeout,
  train,
  until,
  within,
} from "./suite.js";

export async function hosts(): Promise<void> {
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
  check("within the timeout", slowest < 1000 * (timeout + now.starting), `${(slowest / 1000).toFixed(1)} s`);
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
