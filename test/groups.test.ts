// Several processes train one network. The long suites, with faults of all kinds, are `npm run test:groups`.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeEngine } from "./engine.js";
import {
  allEnded,
  apart,
  classifier,
  freePort,
  losses,
  outcome,
  patches,
  program,
  startGroup,
  startMember,
  writeImages,
  writeRecipe,
} from "./groups.js";

let root: string;
const cache = process.env.FILTERBASIS_CACHE;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-groups-"));
  process.env.FILTERBASIS_CACHE = join(root, "cache");
  await writeImages(root);
});
afterAll(() => {
  if (cache === undefined) delete process.env.FILTERBASIS_CACHE;
  else process.env.FILTERBASIS_CACHE = cache;
  rmSync(root, { recursive: true, force: true });
});

const train = (...words: readonly string[]): readonly string[] => [...program(), "train", ...words];
const within = ["--timeout", "20"];

describeEngine("a training by several processes", () => {
  it("started with --processes has the losses of one process with the whole batch", { timeout: 180_000 }, async () => {
    const recipe = writeRecipe(join(root, "patches.json"), patches(root));
    const [one, two] = [join(root, "one"), join(root, "two")];
    const ended = await allEnded([
      startMember(0, train(recipe, "-o", one), {}),
      startMember(0, train(recipe, "-o", two, "--processes", "2", ...within), {}),
    ]);
    expect(ended.map(({ code, said }) => ({ code, said }))).toEqual(
      [0, 0].map((code) => ({ code, said: expect.any(String) })),
    );
    expect(losses(one).length).toBe(20);
    expect(apart(losses(one), losses(two))).toBeLessThan(1e-5);
  });

  it("killed at one rank is told by the other, and ends bit for bit once resumed", { timeout: 180_000 }, async () => {
    const recipe = writeRecipe(join(root, "classifier.json"), classifier(root, { checkpoint: { everySteps: 4 } }));
    const [calm, killed] = [join(root, "calm"), join(root, "killed")];
    const undisturbed = startGroup(train(recipe, "-o", calm, ...within), 2, await freePort());
    expect((await allEnded(undisturbed)).map(({ code }) => code)).toEqual([0, 0]);

    const members = startGroup(train(recipe, "-o", killed, "--timeout", "6"), 2, await freePort());
    let heard = "";
    members[0]!.child.stderr!.on("data", (text: string) => {
      heard += text;
      if (heard.includes("epoch 1:")) members[1]!.child.kill("SIGKILL");
    });
    const [first, second] = await allEnded(members);
    expect(second!.signal).toBe("SIGKILL");
    expect(first!.code).toBe(1);
    expect(first!.said).toMatch(/error group: .*rank 1 is gone/);

    const resumed = startGroup(train(killed, "--resume", ...within), 2, await freePort());
    expect((await allEnded(resumed)).map(({ code }) => code)).toEqual([0, 0]);
    expect(outcome(killed)).toEqual(outcome(calm));
    expect(readFileSync(join(killed, "log.txt"), "utf8")).toMatch(/failed: .*rank 1 is gone/);
  });
});
