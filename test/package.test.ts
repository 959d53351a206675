// The package in other hands: packed, installed in an empty folder, run where there is no compiler and no libtorch
// built for it.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { resnet } from "../src/nets/resnet.js";
import { saveModel } from "../src/runtime/files.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "filterbasis-package-"));
const consumer = join(folder, "consumer");
const tools = join(folder, "bin");

/** How this machine reaches the registry: its proxy, and who vouches for it. */
const network = Object.fromEntries(
  ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"].flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  ),
);

/** Runs a program with nothing on its PATH but Node, npm and a shell. */
function run(command: string, args: readonly string[], cwd: string) {
  const { status, stdout, stderr, error } = spawnSync(join(tools, command), args, {
    cwd,
    encoding: "utf8",
    env: { ...network, HOME: process.env.HOME ?? "", PATH: tools, NO_COLOR: "1", npm_config_update_notifier: "false" },
    maxBuffer: 1 << 26,
  });
  return { status, stdout, stderr: `${stderr}${error ?? ""}` };
}

const built = join(root, "dist/index.js");
const newest = (path: string): number =>
  Math.max(...readdirSync(path, { recursive: true }).map((name) => statSync(join(path, String(name))).mtimeMs));
const reason = !existsSync(built)
  ? "dist/ is not built: npm run build"
  : statSync(built).mtimeMs < newest(join(root, "src"))
    ? "dist/ is older than src/: npm run build"
    : undefined;

describe.skipIf(reason !== undefined)(`the packed package${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let files: string[] = [];

  beforeAll(async () => {
    mkdirSync(tools);
    for (const name of ["node", "npm", "npx", "sh", "env"]) {
      symlinkSync(spawnSync("which", [name], { encoding: "utf8" }).stdout.trim(), join(tools, name));
    }
    mkdirSync(consumer);
    writeFileSync(
      join(consumer, "package.json"),
      JSON.stringify({ name: "consumer", version: "1.0.0", private: true, type: "module" }),
    );
    const packed = run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], root);
    expect(packed.status, packed.stderr).toBe(0);
    const parsed: unknown = JSON.parse(packed.stdout);
    // npm up to 11 prints a list, later ones an object by name.
    const [entry] = (Array.isArray(parsed) ? parsed : Object.values(parsed as object)) as {
      filename: string;
      files: { path: string }[];
    }[];
    files = entry!.files.map(({ path }) => path);
    // Just as a user would: no flags about scripts; onnxruntime-node may fail to install and is optional.
    const installed = run(
      "npm",
      ["install", "--prefer-offline", "--no-audit", "--no-fund", join(folder, entry!.filename)],
      consumer,
    );
    expect(installed.status, installed.stderr).toBe(0);
    await saveModel(resnet(8, { seed: 5 }), join(consumer, "model.onnx"));
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("holds what is needed and nothing that was built or measured here", () => {
    for (const wanted of [
      "package.json",
      "README.md",
      "LICENSE",
      "dist/index.js",
      "dist/index.d.ts",
      "dist/cli/main.js",
      "examples/compress-file.mjs",
      "native/binding.gyp",
      "scripts/build-native.mjs",
    ]) {
      expect(files).toContain(wanted);
    }
    expect(
      files.filter((path) => /(^|\/)(build|test|results|bench|node_modules)\/|\.test\.|\.node$|^src\//.test(path)),
    ).toEqual([]);
  });

  test("compresses a model from the command line, from its weights alone, verified", () => {
    const { status, stdout, stderr } = run(
      "npx",
      ["filterbasis", "compress", "model.onnx", "-o", "out.onnx", "--keep-params", "0.6", "--json"],
      consumer,
    );
    expect(status, stderr).toBe(0);
    const result = JSON.parse(stdout);
    expect(result.verified).toBe(true);
    expect(result.weights / result.before.weights).toBeLessThanOrEqual(0.6);
    expect(result.weights / result.before.weights).toBeGreaterThan(0.58);
    expect(statSync(join(consumer, "out.onnx")).size).toBeLessThan(statSync(join(consumer, "model.onnx")).size);
  }, 120_000);

  test("is a library that loads neither libtorch nor a runtime until they are asked for, and then says what is missing", () => {
    const script = `
      import { readFileSync } from "node:fs";
      import { basis, call, cost, isError, readModel } from "filterbasis";
      const graph = readModel(readFileSync("model.onnx"));
      const { graph: small } = basis({ keepParams: 0.6 })(graph);
      const loaded = process.report.getReport().sharedObjects.filter((name) => /torch|onnxruntime|sharp/.test(name));
      let missing;
      try { call("ones", [2]); } catch (error) { missing = { typed: isError(error, "engine-missing"), cures: error.cures }; }
      console.log(JSON.stringify({ share: cost(small).weights / cost(graph).weights, loaded, missing }));`;
    writeFileSync(join(consumer, "try.mjs"), script);
    const { status, stdout, stderr } = run("node", ["try.mjs"], consumer);
    expect(status, stderr).toBe(0);
    const { share, loaded, missing } = JSON.parse(stdout);
    expect(share).toBeLessThanOrEqual(0.6);
    expect(loaded).toEqual([]);
    expect(missing.typed).toBe(true);
    expect(missing.cures.length).toBeGreaterThan(0);
  });

  test("does what the README's library example says", () => {
    const [, example] = /## From the library\n\n```js\n([\s\S]*?)```/.exec(
      readFileSync(join(root, "README.md"), "utf8"),
    )!;
    writeFileSync(join(consumer, "example.mjs"), example!);
    const { status, stdout, stderr } = run("node", ["example.mjs"], consumer);
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(
      /rewritten features.*\n[\s\S]*skipped classifier[\s\S]*\d+ -> \d+ weights\nverified to [\d.e-]+\n/,
    );
    expect(existsSync(join(consumer, "small.onnx"))).toBe(true);
  }, 120_000);

  test("prints its version and its help", () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    expect(run("npx", ["filterbasis", "--version"], consumer).stdout.trim()).toBe(version);
    expect(run("npx", ["filterbasis", "--help"], consumer)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("compress"),
    });
  });
});
