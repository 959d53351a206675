// Every command line that help texts, README and docs show: the command is there, its options are there and obey the
// rules between them. The examples of help texts are run, but for those that cannot be here.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { commands } from "../src/cli/commands.js";
import type { Command } from "../src/cli/frame.js";
import { buildNet } from "../src/nets/table.js";
import { saveModel } from "../src/runtime/files.js";
import { someImage, writePng } from "./images.js";
import { commandLines, inlineCode, words } from "./shell-lines.js";

// No example is about the times: three rounds of them instead of fifteen.
vi.mock("../src/runtime/compare-times.js", async (original) => {
  const module = await original<typeof import("../src/runtime/compare-times.js")>();
  const timeInTurns: typeof module.timeInTurns = (models, feeds, options) =>
    module.timeInTurns(models, feeds, { ...options, rounds: 3, settle: 20 });
  return { ...module, timeInTurns };
});

const root = fileURLToPath(new URL("..", import.meta.url));
const loaded = new Map<string, Command>();
beforeAll(async () => {
  for (const [name, load] of Object.entries(commands)) loaded.set(name, await load());
});

/** What is wrong with the words behind the name of the program; undefined where nothing is. */
function problem([name = "", ...rest]: readonly string[]): string | undefined {
  if (name === "help" || name.startsWith("--")) return undefined; // of the program
  const command = loaded.get(name);
  if (command === undefined) return `there is no command ${name}`;
  try {
    if (!rest.includes("--help")) command.check(rest);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** Examples that are only read, and why. */
const notRun: Readonly<Record<string, string>> = {
  "plan model.onnx --data photos/ --speedup 1.5": "whether a network becomes faster depends on the machine",
  "compress model.onnx -o small.onnx --data photos/ --speedup 1.5":
    "whether a network becomes faster depends on the machine",
  "compare model.onnx --methods all --keep-params 0.25 --data cifar10": "it trains thirteen networks on CIFAR-10",
  "data get cifar10": "it goes to the network",
  "data check set5 --folder sets/set5": "it needs the set",
  "setup --dry-run": "whether anything stands in its way depends on the machine; test/cli-output.test.ts runs it",
  "setup --libtorch libtorch/": "it needs a libtorch that was unpacked there, and builds",
  "train resnet20-cifar10 --set epochs=2 -o runs/short": "it needs minutes and CIFAR-10",
  "train runs/short --resume": "it needs that run",
  "sweep recipe.yaml --set seed=1,2,3 --jobs 2": "it trains three networks",
  "report runs/short": "it needs that run; test/report.test.ts makes one",
  demo: "it needs minutes",
  "demo --seconds 60 --keep-params 0.5": "it needs minutes",
  doctor: "it measures for seconds; `doctor --json` is run",
  serve: "it runs until it is stopped; test/page-server.test.ts asks it",
  "serve --port 8000": "it runs until it is stopped; test/page-server.test.ts asks it",
};

describe("the help of", () => {
  const folder = mkdtempSync(join(tmpdir(), "filterbasis-lines-"));
  const before = process.cwd();
  beforeAll(async () => {
    process.chdir(folder);
    await saveModel(buildNet("resnet", { depth: 8, widths: [8, 16, 24], classes: 2 }), "model.onnx");
    await saveModel(buildNet("edsr", { blocks: 1, width: 8, scale: 2 }), "sr.onnx");
    writeFileSync("recipe.yaml", "extends: resnet20-cifar10\nname: mine\n");
    await writePng("photo.png", someImage(40, 32));
    for (const seed of [1, 2, 3, 4, 5, 6]) await writePng(`photos/${seed}.png`, someImage(40, 32, { seed }));
    for (const name of ["cat", "dog"]) await writePng(`classes/${name}/1.png`, someImage(32, 32));
  });
  afterAll(() => {
    process.chdir(before);
    rmSync(folder, { recursive: true, force: true });
  });

  test.each(Object.keys(commands))("%s ends with two examples of it, in 100 columns", (name) => {
    const { help, examples } = loaded.get(name)!;
    expect(examples.map((example) => example.split(" ")[0])).toEqual([name, name]);
    expect(new Set(examples).size).toBe(2);
    expect(help().split("\n").slice(-3)).toEqual(["EXAMPLES", ...examples.map((line) => `  filterbasis ${line}`)]);
    for (const line of help().split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    expect(examples.map((example) => problem(words(example)))).toEqual([undefined, undefined]);
  });

  // In the order of the help: what one writes the next ones read.
  test.each(Object.keys(commands))("%s has examples that run", async (name) => {
    const { run, examples } = loaded.get(name)!;
    for (const example of examples) {
      if (Object.hasOwn(notRun, example)) continue;
      const text = { stdout: "", stderr: "" };
      const { signal } = new AbortController();
      const status = await run(words(example).slice(1), {
        stdout: { write: (part) => void (text.stdout += part) },
        stderr: { write: (part) => void (text.stderr += part) },
        signal,
      });
      expect({ example, status, stderr: status === 0 ? "" : text.stderr }).toEqual({ example, status: 0, stderr: "" });
      expect(text.stdout.length).toBeGreaterThan(0);
    }
  });

  test("an example that is not run is one", () => {
    const all = [...loaded.values()].flatMap(({ examples }) => examples);
    expect(Object.keys(notRun).filter((example) => !all.includes(example))).toEqual([]);
  });
});

describe("the documentation shows", () => {
  const files = [
    ...readdirSync(root).filter((name) => name.endsWith(".md")),
    ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  ];
  const text = new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));
  const scripts: Readonly<Record<string, string>> = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  ).scripts;

  test.each(files)("in %s only commands that are there, with options that obey the rules", (file) => {
    const shown = [...commandLines(text.get(file)!), ...inlineCode(text.get(file)!)];
    const wrong = shown.flatMap(({ line, words: [program, ...rest], inline }) => {
      if (program !== "filterbasis") return [];
      if (inline && rest.length < 2) return loaded.has(rest[0] ?? "") || rest.length === 0 ? [] : [`${line}: ${rest}`];
      const found = problem(rest);
      return found === undefined ? [] : [`line ${line}: filterbasis ${rest.join(" ")}: ${found}`];
    });
    expect(wrong).toEqual([]);
  });

  test.each(files)("in %s only scripts of package.json, and files that are there", (file) => {
    const lines = [...commandLines(text.get(file)!), ...inlineCode(text.get(file)!)];
    const wrong = lines.flatMap(({ line, words: [program, first = "", second = "", third = "", ...rest] }) => {
      const told = (what: string) => [`line ${line}: there is no ${what}`];
      if (program === "node" && first.includes("/")) return exists(first) ? [] : told(first);
      if (program === "npx" && first === "tsx") return exists(second) ? [] : told(second);
      if (program !== "npm" || first !== "run" || second === "") return [];
      const script = scripts[second];
      if (script === undefined) return told(`script ${second}`);
      const command = /main\.js ([a-z]+)$/.exec(script)?.[1];
      if (third !== "--" || command === undefined) return [];
      const found = problem([command, ...rest]);
      return found === undefined ? [] : [`line ${line}: ${found}`];
    });
    expect(wrong).toEqual([]);
  });

  test("no script in the workflows of CI that package.json has not", () => {
    const workflows = join(root, ".github/workflows");
    const called = readdirSync(workflows).flatMap((file) => {
      const { jobs } = parse(readFileSync(join(workflows, file), "utf8")) as {
        jobs: Record<string, { steps: { run?: string }[] }>;
      };
      return Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run = "" }) => words(run)[2] ?? []));
    });
    expect(called.filter((name) => scripts[name] === undefined && !name.startsWith("-"))).toEqual([]);
    expect(called).toEqual(
      expect.arrayContaining(["lint", "typecheck", "layers", "test:unit", "package:check", "docs:api"]),
    );
  });

  const exists = (path: string): boolean => statSync(join(root, path), { throwIfNoEntry: false }) !== undefined;

  test("dozens of them, as the README does", () => {
    const count = (file: string) =>
      commandLines(text.get(file)!).filter(({ words: [name] }) => name === "filterbasis").length;
    expect(count("README.md")).toBeGreaterThan(15);
    expect(files.map(count).reduce((sum, one) => sum + one)).toBeGreaterThan(40);
  });
});

describe("a line of a shell", () => {
  test.each<[string, readonly string[]]>([
    ["a b  c", ["a", "b", "c"]],
    ["a 'b c' \"d e\"f", ["a", "b c", "d ef"]],
    ["a \"$(python -c 'print(1)')\"", ["a", "$(python -c 'print(1)')"]],
    ["a b # c", ["a", "b"]],
    ["a#b --c=d", ["a#b", "--c=d"]],
  ])("%s is read as %j", (line, expected) => expect(words(line)).toEqual(expected));

  test("is found behind variables, launchers, prompts, pipes and the end of the line before", () => {
    const page = [
      "Text with filterbasis train in it, and `npm run x` inline.",
      "",
      "    node1$ RANK=0 npx filterbasis train a.yaml  # one",
      "    mpirun -n 4 \\",
      "      filterbasis train b.yaml -o /run",
      "    cd x && npm run build | filterbasis nets > list.txt",
    ].join("\n");
    expect(commandLines(page).map(({ words: found }) => found.join(" "))).toEqual([
      "filterbasis train a.yaml",
      "filterbasis train b.yaml -o /run",
      "cd x",
      "npm run build",
      "filterbasis nets",
    ]);
    expect(inlineCode(page).map(({ words: found }) => found.join(" "))).toEqual(["npm run x"]);
  });
});
