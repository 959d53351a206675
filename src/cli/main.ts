#!/usr/bin/env node
// The program `filterbasis`: finds the command, hands it streams and signals, ends with its exit code.
import { readFileSync } from "node:fs";
import { FilterBasisError } from "../errors/error.js";
import { nearest } from "./arguments.js";
import { type Command, fail } from "./frame.js";

/** Every command, imported only when it is asked for. The order is the order of the help text. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  inspect: async () => (await import("./inspect.js")).default,
  plan: async () => (await import("./plan.js")).default,
  compress: async () => (await import("./compress.js")).default,
  evaluate: async () => (await import("./evaluate.js")).default,
  upscale: async () => (await import("./upscale.js")).default,
  data: async () => (await import("./data.js")).default,
  export: async () => (await import("./export.js")).default,
  doctor: async () => (await import("./doctor.js")).default,
  train: async () => (await import("./train.js")).default,
  tables: async () => (await import("./tables.js")).default,
  nets: async () => (await import("./nets.js")).default,
  methods: async () => (await import("./methods.js")).default,
  recipes: async () => (await import("./recipes.js")).default,
  demo: async () => (await import("./demo.js")).default,
  report: async () => (await import("./report.js")).default,
};

const version = (): string =>
  (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }).version;

async function usage(): Promise<string> {
  const loaded = await Promise.all(Object.values(commands).map((load) => load()));
  const width = Math.max(...loaded.map(({ name }) => name.length));
  return [
    `filterbasis ${version()}: replaces the filters of a CNN by a small learned basis; ONNX in, smaller and verified ONNX out`,
    "",
    "usage: filterbasis COMMAND [OPTIONS]",
    "",
    ...loaded.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "filterbasis COMMAND --help tells a command's options. Every command takes --json.",
    "Results go to stdout, progress to stderr. Exit code 0: done, 1: failed, 2: wrong use.",
  ].join("\n");
}

async function main(raw: readonly string[]): Promise<number> {
  const { stdout, stderr } = process;
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      // The first one asks; a second one insists.
      if (controller.signal.aborted) process.exit(name === "SIGTERM" ? 143 : 130);
      stderr.write("\nstopping; once more stops at once\n");
      controller.abort(name);
    });
  }
  const [name, ...rest] = raw;
  if (name === "--version" || name === "-v") {
    stdout.write(`${version()}\n`);
    return 0;
  }
  if (name === "--help" || name === "-h" || name === "help") {
    stdout.write(`${await usage()}\n`);
    return 0;
  }
  const load = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (load === undefined) {
    const message =
      name === undefined
        ? "no command given"
        : `unknown command ${JSON.stringify(name)}${nearest(name, Object.keys(commands), "")}`;
    return await fail(new FilterBasisError("usage", message), {
      json: raw.includes("--json"),
      stdout,
      stderr,
      signal: controller.signal,
      usage,
    });
  }
  return await (await load()).run(rest, { stdout, stderr, signal: controller.signal });
}

// `filterbasis ... | head` closes the pipe early: no mistake of anybody's.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));

const code = await main(process.argv.slice(2));
// Everything written must reach its pipe before the end; open handles of native libraries must not delay it.
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
process.exit(code);
