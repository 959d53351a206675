// The program as a whole, from outside: exit codes, streams, signals.
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import manifest from "../package.json" with { type: "json" };

const program = ["--import", "tsx", fileURLToPath(new URL("../src/cli/main.ts", import.meta.url))];

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...program, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
}

describe("filterbasis", () => {
  test("lists its commands with --help, on stdout", () => {
    const { status, stdout, stderr } = run("--help");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const names = [...stdout.matchAll(/^ {2}([a-z]+) {2}/gm)].map(([, name]) => name);
    for (const name of [
      "inspect",
      "plan",
      "compress",
      "train",
      "evaluate",
      "export",
      "report",
      "tables",
      "nets",
      "doctor",
    ])
      expect(names).toContain(name);
  });

  test("tells its version", () => {
    expect(run("--version")).toEqual({ status: 0, stdout: `${manifest.version}\n`, stderr: "" });
  });

  test.each([
    [[], "no command given"],
    [["compres", "model.onnx"], "did you mean compress?"],
    [["toString"], "unknown command"],
    [["inspect"], "Missing required positional argument"],
  ])("ends with 2 and prints usage on stderr for %j", (args, message) => {
    const { status, stdout, stderr } = run(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(message);
    expect(stderr.toLowerCase()).toContain("usage");
  });

  test("ends with 1 and one JSON object on stdout for a failure under --json", () => {
    const { status, stdout, stderr } = run("inspect", "/nowhere/model.onnx", "--json");
    expect(status).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "not-found", file: "/nowhere/model.onnx" } });
    expect(stderr).toContain("error not-found");
  });

  test("does not complain when its reader has had enough", () => {
    const line = `'${process.execPath}' ${program.join(" ")} recipes --json | head -c 1`;
    const { stdout, stderr } = spawnSync("bash", ["-c", line], { encoding: "utf8" });
    expect(stdout).toHaveLength(1);
    expect(stderr).toBe("");
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("ends with the code that shells expect after %s", async (signal, expected) => {
    const child = spawn(process.execPath, [...program, "doctor"], { stdio: ["ignore", "ignore", "pipe"] });
    const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
    // doctor says so when it begins to measure; without an engine it ends too soon to be interrupted.
    const begun = await new Promise<boolean>((resolve) => {
      child.stderr.on("data", (text) => String(text).includes("measuring") && resolve(true));
      void ended.then(() => resolve(false));
    });
    child.kill(signal);
    expect(await ended).toBe(begun ? expected : 0);
  });
});
