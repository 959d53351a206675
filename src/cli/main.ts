#!/usr/bin/env node
// The program `filterbasis`: finds the command, hands it streams and signals, ends with its exit code.
import { readFileSync } from "node:fs";
import { FilterBasisError } from "../errors/error.js";
import { nearest } from "../errors/nearest.js";
import { commands } from "./commands.js";
import { wrapped } from "./fitting.js";
import { asksForJson, type CommandIo, fail } from "./frame.js";

const version = (): string =>
  (JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }).version;

async function help(): Promise<string> {
  const loaded = await Promise.all(Object.values(commands).map((load) => load()));
  const width = Math.max(...loaded.map(({ name }) => name.length)) + 4;
  const described = loaded.flatMap(({ name, summary }) => {
    const [first, ...rest] = wrapped(summary, 100 - width);
    return [`  ${name.padEnd(width - 2)}${first}`, ...rest.map((line) => " ".repeat(width) + line)];
  });
  return [
    `filterbasis ${version()}: replaces the filters of a CNN by a small learned basis;`,
    "ONNX in, smaller and verified ONNX out",
    "",
    "USAGE  filterbasis COMMAND [OPTIONS]",
    "",
    ...described,
    "",
    "filterbasis COMMAND --help explains a command's options. Every command takes --json.",
    "Results go to stdout, progress to stderr. Exit code 0: done, 1: failed, 2: wrong use.",
  ].join("\n");
}

const hint = "filterbasis --help lists the commands";

async function run(raw: readonly string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = raw;
  const { stdout } = io;
  if (name === "--version" || name === "-v") {
    stdout.write(`${version()}\n`);
    return 0;
  }
  const aboutCommand = name === "help" ? rest.find((word) => !word.startsWith("-")) : undefined;
  if (name === "--help" || name === "-h" || (name === "help" && aboutCommand === undefined)) {
    stdout.write(`${await help()}\n`);
    return 0;
  }
  const load = find(aboutCommand ?? name);
  if (load === undefined) return await wrongUse(aboutCommand ?? name, raw, io);
  const command = await load();
  if (aboutCommand === undefined) return await command.run(rest, io);
  stdout.write(`${command.help()}\n`);
  return 0;
}

const find = (name: string | undefined) =>
  name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined;

/** Without a command all of them are listed; an unknown one gets the nearest that there is. */
async function wrongUse(name: string | undefined, raw: readonly string[], io: CommandIo): Promise<number> {
  const problem =
    name === undefined
      ? "no command given"
      : `unknown command ${JSON.stringify(name)}${nearest(name, Object.keys(commands), "")}`;
  const usage = async () => (name === undefined ? await help() : `USAGE  filterbasis COMMAND [OPTIONS]\n${hint}`);
  return await fail(new FilterBasisError("usage", problem), { ...io, json: asksForJson(raw), usage });
}

/** Signals end the work: the first one asks, a second one insists. */
function listenForSignals(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(name === "SIGTERM" ? 143 : 130);
      process.stderr.write("\nstopping; a second signal stops at once\n");
      controller.abort(name);
    });
  }
  return controller.signal;
}

// `filterbasis ... | head` closes the pipe early: no mistake of anybody's. A result that cannot be written is one.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`error io: cannot write the result (got ${error.code ?? error.message})\n`);
  process.exit(1);
});
// Nobody reads the progress any more: the work goes on.
process.stderr.on("error", () => undefined);

const io: CommandIo = { stdout: process.stdout, stderr: process.stderr, signal: listenForSignals() };
const raw = process.argv.slice(2);
const code = await run(raw, io).catch((error: unknown) =>
  fail(error, { ...io, json: asksForJson(raw), usage: async () => hint }),
);
// Everything written must reach its pipe before the end; open handles of native libraries must not delay it.
await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
process.exit(code);
