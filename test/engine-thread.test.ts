import { Worker } from "node:worker_threads";
import { expect, it } from "vitest";
import { environmentDefaults } from "../src/torch/environment.js";
import { describeEngine } from "./engine.js";

interface Answer {
  readonly losses: readonly number[];
  readonly live: number;
  readonly core: string | null;
}

// The worker is TypeScript, which a thread must be taught first.
const file = JSON.stringify(new URL("./engine-thread-worker.ts", import.meta.url).href);
const start = `import("tsx/esm/api").then(({ register }) => { register(); return import(${file}); });`;

const trainALittle = () =>
  new Promise<Answer>((resolve, reject) => {
    const worker = new Worker(start, { eval: true });
    let answer: Answer | undefined;
    worker.on("message", (message: Answer) => (answer = message));
    worker.on("error", reject);
    worker.on("exit", () => (answer ? resolve(answer) : reject(new Error("the worker said nothing"))));
  });

describeEngine("the engine in worker threads", () => {
  it("trains in two at once, each with its own scopes, while the main thread lives, and they end without an error", async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    const answers = await Promise.all([trainALittle(), trainALittle()]);
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
    for (const { losses, core } of answers) {
      expect(losses.at(-1)!).toBeLessThan(losses[0]! / 100);
      // The environment was set before the libraries read it, in a thread whose process.env is only a copy.
      if (
        environmentDefaults().OPENBLAS_CORETYPE !== undefined &&
        core !== null &&
        process.env.OPENBLAS_CORETYPE === undefined
      )
        expect(core).toBe("SkylakeX");
    }
    // Live tensors are counted for the whole process: the last to finish sees none.
    expect(Math.min(...answers.map(({ live }) => live))).toBe(0);
  });
});
