import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { recipeJsonSchema } from "./recipe.js";
import { listRecipes, loadRecipe, recipeFolder } from "./recipe-files.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "filterbasis-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}
const base = "name: base\nnetwork: { name: resnet20 }\noptimizer: { name: sgd, lr: 0.3, momentum: 0.8 }\nepochs: 7\n";

describe("loadRecipe", () => {
  it("fills in every default", async () => {
    const recipe = await loadRecipe(await file("a.yaml", "name: a\nnetwork: { name: resnet20, init: kaiming }"));
    expect(recipe).toMatchObject({
      network: { name: "resnet20", init: "kaiming" },
      data: { name: "cifar10", batch: 128 },
      loss: { task: "cross-entropy", gamma: 0 },
      optimizer: { name: "sgd", momentum: 0.9 },
    });
  });
  it("extends one other recipe field by field", async () => {
    await file("base.yaml", base);
    const recipe = await loadRecipe(
      await file("child.json", '{ "extends": "base.yaml", "name": "child", "optimizer": { "lr": 0.1 } }'),
    );
    expect(recipe).toMatchObject({ name: "child", epochs: 7, optimizer: { name: "sgd", lr: 0.1, momentum: 0.8 } });
  });
  it("starts a set afresh where it names another kind", async () => {
    await file("base.yaml", base);
    const recipe = await loadRecipe(await file("adam.yaml", "extends: base.yaml\noptimizer: { name: adam }"));
    expect(recipe.optimizer).toEqual({ name: "adam", lr: 1e-4, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 });
  });
  it("lets the command line override any value", async () => {
    const path = await file("set.yaml", base);
    const recipe = await loadRecipe(path, [
      "optimizer.lr=0.05",
      "data.augment=false",
      "schedule.name=step",
      "schedule.milestones=[3, 5]",
    ]);
    expect(recipe).toMatchObject({
      optimizer: { lr: 0.05 },
      data: { augment: false },
      schedule: { name: "step", milestones: [3, 5] },
    });
  });
  it.each([
    ["a field that is not known", "name: a\nnetwork: { name: x }\nepoch: 3", "epoch"],
    ["a wrong type", "name: a\nnetwork: { name: x }\nepochs: many", "epochs: .*number.*many"],
    ["a rate below zero", "name: a\nnetwork: { name: x }\noptimizer: { name: sgd, lr: -1 }", "optimizer.lr: .*-1"],
    ["no network", "name: a", "network"],
    ["a list", "- a", "a recipe is a set of named fields"],
    ["nothing", "", "got nothing"],
    ["broken YAML", "name: [a", "not YAML"],
    [
      "aliases that explode",
      `a: &a [x,x]\n${[..."bcdefghij"].map((k, i) => `${k}: &${k} [${Array(9).fill(`*${"abcdefghij"[i]}`)}]`).join("\n")}`,
      "not YAML",
    ],
  ])("refuses %s, naming the place", async (_, text, message) => {
    await expect(loadRecipe(await file("wrong.yaml", text))).rejects.toThrow(new RegExp(message));
  });
  it("refuses a circle of recipes, a missing one and a wrong --set", async () => {
    await file("one.yaml", "extends: two.yaml");
    await file("two.yaml", "extends: one.yaml");
    await expect(loadRecipe(join(folder, "one.yaml"))).rejects.toMatchObject({ code: "invalid-recipe" });
    await expect(loadRecipe(join(folder, "none.yaml"))).rejects.toMatchObject({ code: "not-found" });
    await expect(loadRecipe("no-such-recipe")).rejects.toMatchObject({ code: "not-found" });
    const [known] = (await listRecipes()).map((file) => basename(file, ".yaml"));
    await expect(loadRecipe(`${known}x`)).rejects.toThrow(`did you mean ${known}?`);
    for (const wrong of ["lr", "=3", "a..b=1", "__proto__.x=1"]) {
      await expect(loadRecipe(join(folder, "base.yaml"), [wrong])).rejects.toMatchObject({ code: "usage" });
    }
  });
});

describe("the project's recipes", () => {
  it("are all valid, and named like their files", async () => {
    for (const path of await listRecipes()) expect(path).toContain(`${(await loadRecipe(path)).name}.yaml`);
  });
  it("have a schema for editors, which is that of the program (npm run schema)", async () => {
    const schema: unknown = JSON.parse(await readFile(join(recipeFolder, "schema.json"), "utf8"));
    expect(schema).toEqual(recipeJsonSchema());
    expect(schema).toMatchObject({
      anyOf: [{}, { type: "object", required: expect.arrayContaining(["name", "network"]) }],
    });
  });
});
