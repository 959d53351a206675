// What the program writes where no terminal is: plain text, of a bounded width, and one JSON object where JSON was
// asked for.
import { spawn, spawnSync } from "node:child_process";
import { openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { commands } from "../src/cli/commands.js";
import type { Command } from "../src/cli/frame.js";

const program = ["--import", "tsx", fileURLToPath(new URL("../src/cli/main.ts", import.meta.url))];
// What a test runner sets for itself says nothing about the program's own output.
const { FORCE_COLOR: _, NO_COLOR: __, ...environment } = process.env;

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[], env: NodeJS.ProcessEnv = environment): Promise<Ended> {
  const child = spawn(process.execPath, [...program, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (part) => (text[name] += part));
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, ...text })));
}

/** Two at a time. */
async function runAll(calls: readonly (readonly string[])[]): Promise<readonly Ended[]> {
  const ended: Ended[] = [];
  for (let at = 0; at < calls.length; at += 2)
    ended.push(...(await Promise.all(calls.slice(at, at + 2).map((call) => run(call)))));
  return ended;
}

const shell = (line: string) =>
  spawnSync("bash", ["-c", line.replaceAll("filterbasis", `'${process.execPath}' ${program.join(" ")}`)], {
    encoding: "utf8",
    env: environment,
  });

describe("help in a pipe", () => {
  test("carries no escape codes and fits 100 columns: the list of commands, every command's text, and one of them as the program writes it", async () => {
    const loaded = await Promise.all(Object.values(commands).map((load) => load()));
    const ended = await runAll([["--help"], ["help"], ["compress", "--help"]]);
    for (const { status, stderr } of ended) expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(ended[2]!.stdout).toBe(`${loaded.find(({ name }) => name === "compress")!.help()}\n`);
    for (const text of [...ended.map(({ stdout }) => stdout), ...loaded.map(({ help }) => help())]) {
      expect(text).toMatch(/^[\x20-\x7e\n]+$/);
      for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
      for (const line of text.split("\n")) expect(line).toBe(line.trimEnd());
    }
  });

  test("is the same behind `help COMMAND`, and as plain where colours are forced", async () => {
    const [plain, by, forced] = await Promise.all([
      run(["compress", "--help"]),
      run(["help", "compress"]),
      run(["compress", "--help"], { ...environment, FORCE_COLOR: "3" }),
    ]);
    expect(plain.stdout).toContain("--keep-params F");
    expect(by).toEqual(plain);
    expect(forced).toEqual(plain);
  });

  test("of a command that there is not is wrong use", async () => {
    const { status, stdout, stderr } = await run(["help", "compres"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain("did you mean compress?");
  });
});

/** In this process, which is quicker: stdout and the exit code. */
async function runHere(
  { run }: Command,
  ...words: string[]
): Promise<{ readonly status: number; readonly stdout: string }> {
  let stdout = "";
  const stream = { write: (text: string) => void (stdout += text) };
  const { signal } = new AbortController();
  return { status: await run(words, { stdout: stream, stderr: { write: () => undefined }, signal }), stdout };
}

describe("with --json exactly one object goes to stdout", () => {
  test.each<[string, number, string?]>([
    ["methods", 0],
    ["nets", 0],
    ["recipes", 0],
    ["tables 1", 0],
    ["doctor --nonsense", 2, "usage"],
    ["data get nothing", 2, "usage"],
    ["data check set5 --folder /nowhere/at/all", 1, "not-found"],
    ["tables 9", 2, "usage"],
    ["tables --results /nowhere", 1, "not-found"],
    ["nets vgg17 -o x.onnx", 1, "not-found"],
    ["nets vgg16 -o /nowhere/x.onnx", 1, "not-found"],
    ["inspect", 2, "usage"],
    ["inspect /nowhere.onnx", 1, "not-found"],
    ["report /nowhere", 1, "not-found"],
    ["train nothing-of-that-name", 1, "not-found"],
  ])("%s", async (line, expected, code) => {
    const [name, ...words] = line.split(" ");
    const command = await commands[name!]!();
    for (const json of ["--json", "--json=true"]) {
      const { status, stdout } = await runHere(command, ...words, json);
      const result = JSON.parse(stdout) as { readonly error?: object };
      expect([status, result.error]).toEqual([
        expected,
        code === undefined ? undefined : expect.objectContaining({ code, message: expect.any(String) }),
      ]);
    }
  });

  test("of a command that starts a program", async () => {
    const [{ status, stdout, stderr }] = (await runAll([["setup", "--dry-run", "--json"]])) as [Ended];
    // Where something is missing that it may not install, it says so.
    const stopped = { error: expect.objectContaining({ code: "engine-missing" }) };
    expect(JSON.parse(stdout)).toEqual(status === 0 ? { ready: false } : stopped);
    expect(stderr).toContain("set-up");
  });

  test("of the program itself too", async () => {
    const calls = [["nonsense", "--json"], ["--json"]];
    for (const { status, stdout } of await runAll(calls)) {
      expect(status).toBe(2);
      expect(JSON.parse(stdout)).toMatchObject({ error: { code: "usage" } });
    }
  });
});

describe("a reader that goes away", () => {
  test.each(["methods", "train --help", "recipes --json"])("is no mistake: %s | head -1", (call) => {
    const { stdout, stderr } = shell(`filterbasis ${call} | head -1; exit \${PIPESTATUS[0]}`);
    expect(stdout.split("\n")).toHaveLength(2);
    expect(stderr).toBe("");
  });

  test("of the progress neither", () => {
    const { status, stdout } = shell("filterbasis inspect /nowhere.onnx --json 2> >(exec 0<&-)");
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "not-found" } });
  });
});

test("a closed stdout and stderr end nothing with a stack", () => {
  for (const call of ["methods", "nets --json"])
    expect(shell(`filterbasis ${call} >&-`)).toMatchObject({ status: 0, stderr: "" });
  expect(shell("filterbasis inspect /nowhere.onnx >&- 2>&-").status).toBe(1);
});

test.skipIf(process.platform !== "linux")("a result that cannot be written is told, with exit code 1", () => {
  const full = openSync("/dev/full", "w");
  const { status, stderr } = spawnSync(process.execPath, [...program, "methods"], {
    stdio: ["ignore", full, "pipe"],
    encoding: "utf8",
  });
  expect(status).toBe(1);
  expect(stderr).toBe("error io: cannot write the result (got ENOSPC)\n");
});
