// Memory of a long training: with scopes it ends with no live tensor and flat, without any dispose it stays bounded.
// usage: npm run test:leaks [-- --steps 300 --batch 32]      writes results/leaks.json; fails when memory grows
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Network } from "../src/interpreter/network.js";
import { resnet } from "../src/nets/resnet.js";
import { writeAside } from "../src/runtime/write.js";
import {
  backward,
  engineInfo,
  fromArray,
  liveTensors,
  noGrad,
  packageRoot,
  randn,
  setThreads,
  TensorScope,
} from "../src/torch/index.js";
import * as ops from "../src/torch/ops.js";
import { optimizer } from "../src/train/optimizers.js";
import { plainResnet } from "./plain-resnet.js";

const { values } = parseArgs({
  options: { steps: { type: "string", default: "300" }, batch: { type: "string", default: "32" } },
});
const [steps, batch] = [Number(values.steps), Number(values.batch)];
setThreads(Math.min(2, availableParallelism()));
const megabytes = () => Math.round(process.memoryUsage().rss / 2 ** 20);

interface Course {
  /** Resident memory every tenth of the steps, MB. */
  readonly resident: readonly number[];
  readonly liveAtEnd: number;
}

/** Trains ResNet-20 with SGD; each step in a scope, or with nothing disposed at all. */
function train(scoped: boolean): Course {
  const resident: number[] = [];
  {
    using network = new Network(resnet(20));
    using update = optimizer(network.parameters, { name: "sgd", momentum: 0.9, nesterov: false, weightDecay: 0 });
    const step = () => {
      const target = fromArray(
        BigInt64Array.from({ length: batch }, (_, i) => BigInt(i % 10)),
        [batch],
      );
      const output = plainResnet(20, network.parameters, network.buffers, randn([batch, 3, 32, 32]));
      const loss = ops.crossEntropyLoss(output, target);
      loss.item();
      backward(loss);
      if (scoped) update.step(0.01);
      else
        noGrad(() => {
          for (const parameter of network.parameters.values()) {
            ops.add_(parameter, parameter.grad!, { alpha: -0.01 });
            parameter.grad = null;
          }
        });
    };
    for (let i = 1; i <= steps; i++) {
      if (scoped) {
        using _scope = new TensorScope();
        step();
      } else step();
      if (i % Math.max(1, Math.floor(steps / 10)) === 0) resident.push(megabytes());
    }
  }
  return { resident, liveAtEnd: liveTensors() };
}

const before = megabytes();
const withScopes = train(true);
const withoutDispose = train(false);
// From the middle on: until then JavaScript's own heap and the compiled code still settle.
const grown = Math.max(...withScopes.resident.slice(5)) / withScopes.resident[4]!;
const most = Math.max(...withoutDispose.resident);
const report = {
  command: `npm run test:leaks -- --steps ${steps} --batch ${batch}`,
  date: new Date().toISOString().slice(0, 10),
  versions: { node: process.version, libtorch: engineInfo().version },
  megabytesBefore: before,
  withScopes,
  withoutDispose,
};
console.log(`with scopes: ${withScopes.resident.join(" ")} MB, ${withScopes.liveAtEnd} live tensors at the end`);
console.log(`without any dispose: ${withoutDispose.resident.join(" ")} MB`);
await writeAside(
  join(packageRoot(), "results/leaks.json"),
  new TextEncoder().encode(`${JSON.stringify(report, null, 2)}\n`),
);
// Flat: 3 % covers the heap of JavaScript, which is free to breathe. Bounded: a leak would hold every activation of
// every step.
if (withScopes.liveAtEnd !== 0 || grown > 1.03 || most > 10 * withScopes.resident.at(-1)!) {
  console.error("memory grows");
  process.exitCode = 1;
}
