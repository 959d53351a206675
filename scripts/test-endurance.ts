// A day's training in small: 2,000 steps of a compressed ResNet-8; memory must be flat after the first 100, and no
// tensor live at the end. Usage: npm run test:endurance [-- --steps 2000]. Made-up images; needs the engine.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { writeResult } from "../bench/result.js";
import { type ImageSet, normalizations } from "../src/data/image-set.js";
import { Network } from "../src/interpreter/network.js";
import { Random } from "../src/linalg/random.js";
import { basis } from "../src/methods/basis.js";
import { resnet } from "../src/nets/resnet.js";
import { liveTensors } from "../src/torch/index.js";
import { approximatedLayers } from "../src/train/approximation.js";
import { trainLoop } from "../src/train/loop.js";
import { optimizer } from "../src/train/optimizers.js";
import { recipeSchema } from "../src/train/recipe.js";
import { imageSource } from "../src/train/sources.js";

const { values } = parseArgs({ options: { steps: { type: "string", default: "2000" } } });
const steps = Number(values.steps);
/** Growth of the resident size that is allowed after the first 100 steps. */
const allowed = 0.03;

const resident = (): number => Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]) * 4096;

function images(): ImageSet {
  const random = new Random("endurance");
  const count = 640;
  const images = Uint8Array.from({ length: count * 3 * 32 * 32 }, () => random.int(256));
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  return { name: "noise", images, labels, classes: [..."0123456789"], count, height: 32, width: 32 };
}

const before = liveTensors();
const sizes: number[] = [];
{
  const original = resnet(8, { init: "kaiming" });
  const { graph } = basis({ keepParams: 0.5 })(original);
  const recipe = recipeSchema.parse({
    name: "endurance",
    network: { name: "resnet8" },
    loss: { gamma: 1e-3, distill: {} },
    optimizer: { name: "sgd", lr: 0.01, clip: 5 },
  });
  using network = new Network(graph);
  using teacher = new Network(original);
  using rule = optimizer(network.parameters, recipe.optimizer);
  const layers = approximatedLayers(graph, original, network);
  await trainLoop(
    {
      graph,
      network,
      input: "input",
      outputs: ["output"],
      optimizer: rule,
      loss: recipe.loss,
      clip: recipe.optimizer.clip,
      teacher: { network: teacher, input: "input", outputs: ["output"] },
      layers,
    },
    {
      source: imageSource(images(), {
        batch: 32,
        augment: true,
        normalization: normalizations.cifar10,
        dropLast: false,
        seed: 1,
        labelled: true,
      }),
      schedule: recipe.schedule,
      rate: recipe.optimizer.lr,
      epochs: 1,
      steps,
      saveEverySteps: 200,
      primaryMetric: { name: "none", higher: true },
    },
    {
      onStep: ({ globalStep }) => {
        if (globalStep % 100 === 0) sizes.push(resident());
      },
      evaluate: async () => ({ none: 0 }),
      onEpoch: () => undefined,
      save: async () => undefined,
      stopping: () => false,
      now: Date.now,
    },
  );
  for (const { original: filters } of layers) filters.dispose();
}
const [first = 0, ...later] = sizes;
const growth = Math.max(...later) / first - 1;
const live = liveTensors() - before;
const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
console.log(`resident after each 100 steps, MiB: ${sizes.map(mib).join(" ")}`);
console.log(
  `growth after the first 100 steps: ${(100 * growth).toFixed(2)} % (allowed ${100 * allowed} %); live tensors at the end: ${live}`,
);
await writeResult("endurance", `npm run test:endurance -- --steps ${steps}`, {
  steps,
  seed: 1,
  residentMiB: sizes.map((size) => Math.round(size / 2 ** 20)),
  growthPercent: Number((100 * growth).toFixed(2)),
  allowedPercent: 100 * allowed,
  liveTensors: live,
});
const failed = (growth > allowed ? 1 : 0) + (live === 0 ? 0 : 1);
console.log(`${2 - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
