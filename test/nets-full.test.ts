// The networks of the zoo and of every recipe at full size: out as ONNX, evaluated by ONNX Runtime, back, and one step
// of training. All of them (minutes): npm run test:nets. Otherwise two of them.
import { basename, extname } from "node:path";
import { expect, it } from "vitest";
import { methodPass } from "../src/methods/methods.js";
import { buildNet, nets } from "../src/nets/table.js";
import { listRecipes, loadRecipe } from "../src/train/recipe-files.js";
import { describeEngine } from "./engine.js";
import { checkNet } from "./net-checks.js";

const all = process.env.FILTERBASIS_FULL === "1";
const few = ["table5-resnet56-basis", "table2-srresnet-32-32"];
const recipes = (await listRecipes()).filter(
  (file) => file.includes("/tables/") && (all || few.includes(basename(file, extname(file)))),
);

describeEngine("networks at full size", () => {
  it.each(all ? Object.keys(nets) : [])(
    "%s",
    async (name) => {
      const { relative } = await checkNet(buildNet(name), nets[name as keyof typeof nets].task);
      console.log(`${name}: largest difference to ONNX Runtime ${relative.toExponential(1)} of the largest output`);
    },
    600_000,
  );

  it.each(recipes.map((file) => [basename(file, extname(file)), file]))(
    "recipe %s",
    async (_, file) => {
      const { network, compress } = await loadRecipe(file);
      const { name, file: _weights, ...options } = network;
      if (name === undefined) return; // it begins with a file that another recipe trains
      const plain = buildNet(name, options);
      const { method = "", ...given } = compress ?? {};
      const { graph, outcomes } =
        compress === undefined ? { graph: plain, outcomes: [] } : methodPass(method, given)(plain);
      if (compress !== undefined) expect(outcomes.some(({ applied }) => applied)).toBe(true);
      const { relative } = await checkNet(graph, nets[name as keyof typeof nets].task);
      console.log(
        `${basename(file)}: largest difference to ONNX Runtime ${relative.toExponential(1)} of the largest output`,
      );
    },
    600_000,
  );
});
