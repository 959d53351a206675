// A Python process that answers JSON commands, one a line.
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";

/** Debian's Python, which python3-torch belongs to; undefined where it has no torch. */
export function pythonWithTorch(): string | undefined {
  return ["/usr/bin/python3", "python3"].find((python) => spawnSync(python, ["-c", "import torch"]).status === 0);
}

export class Python implements Disposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: { resolve: (answer: unknown) => void; reject: (error: Error) => void }[] = [];
  #said = "";

  constructor(python: string, script: string, env: Readonly<Record<string, string>>) {
    this.#child = spawn(python, [script], { env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1", ...env } });
    this.#child.stderr.on("data", (bytes) => (this.#said += bytes));
    createInterface({ input: this.#child.stdout }).on("line", (line) =>
      this.#waiting.shift()?.resolve(JSON.parse(line)),
    );
    this.#child.on("close", () => {
      for (const { reject } of this.#waiting) reject(new Error(`Python ended: ${this.#said}`));
    });
  }

  ask<T>(command: string, request: object): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve: resolve as (answer: unknown) => void, reject });
      this.#child.stdin.write(`${JSON.stringify({ command, ...request })}\n`);
    });
  }

  [Symbol.dispose](): void {
    this.#child.stdin.end();
  }
}
