// Starts that are wrong, and ends that are not the usual one: each is told by all ranks, and the run goes on.
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { allEnded, classifier, freePort, startGroup, startMember, variables, writeRecipe } from "../../test/groups.js";
import { check, codes, faultRecipe, fresh, lastWords, root, same, told, train, until, within } from "./suite.js";

export async function wrongStarts(): Promise<void> {
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

export async function otherNumber(): Promise<void> {
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

export async function allKilled(): Promise<void> {
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
