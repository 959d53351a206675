import { expect, it } from "vitest";
import { Network } from "../src/interpreter/network.js";
import { resnet } from "../src/nets/resnet.js";
import { backward, fromArray, liveTensors, ones, randn, TensorScope } from "../src/torch/index.js";
import * as ops from "../src/torch/ops.js";
import { optimizer } from "../src/train/optimizers.js";
import { describeEngine } from "./engine.js";

describeEngine("memory (the long version is npm run test:leaks)", () => {
  it("a training of ResNet-20 in scopes holds as many tensors after each step, and none at the end", () => {
    const before = liveTensors();
    const counts: number[] = [];
    {
      using network = new Network(resnet(20));
      using update = optimizer(network.parameters, { name: "sgd", momentum: 0.9, nesterov: false, weightDecay: 0 });
      for (let step = 0; step < 4; step++) {
        using _scope = new TensorScope();
        const output = network.forward(new Map([["input", randn([2, 3, 32, 32])]]), { training: true }).get("output")!;
        backward(ops.crossEntropyLoss(output, fromArray(BigInt64Array.of(1n, 7n), [2])));
        update.step(0.01);
        counts.push(liveTensors());
      }
      expect(liveTensors()).toBeLessThan(counts[0]!);
    }
    expect(new Set(counts).size).toBe(1);
    expect(liveTensors()).toBe(before);
  });

  it("a synchronous loop that disposes nothing stays bounded: finalizers run inside the garbage collection", () => {
    const x = ones([1 << 20]); // 4 MiB each
    const start = process.memoryUsage().rss;
    let most = 0;
    for (let i = 0; i < 400; i++) {
      ops.add(x, x);
      if (i % 20 === 0) most = Math.max(most, process.memoryUsage().rss);
    }
    // All of them would be 1600 MiB.
    expect((most - start) / 2 ** 20).toBeLessThan(800);
  });
});
