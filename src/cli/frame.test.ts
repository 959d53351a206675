import type { ArgsDef } from "citty";
import { describe, expect, test } from "vitest";
import { FilterBasisError } from "../errors/error.js";
import { type CommandIo, type Context, command, stopIfAsked, toJson } from "./frame.js";
import { duration, startProgress } from "./progress.js";

function harness() {
  const written = { out: "", err: "" };
  const controller = new AbortController();
  const io: CommandIo = {
    stdout: { write: (text) => void (written.out += text) },
    stderr: { write: (text) => void (written.err += text) },
    signal: controller.signal,
  };
  return { written, controller, io };
}

const examples = ["try a.onnx", "try a.onnx --undo"] as const;
const args = {
  model: { type: "positional", description: "an ONNX file" },
  output: { type: "string", alias: "o", description: "where to write" },
  epochs: { type: "string", default: "1" },
  layout: { type: "enum", options: ["auto", "dense"], default: "auto" },
  "keep-params": { type: "string" },
  undo: { type: "boolean" },
  set: { type: "string" },
} satisfies ArgsDef;

async function run(
  raw: readonly string[],
  body: (given: Record<string, unknown>, context: Context) => unknown = () => undefined,
) {
  const { written, controller, io } = harness();
  const made = command({
    name: "try",
    summary: "a command for tests",
    examples,
    args,
    async run(given, context) {
      await body(given, context);
      return {
        json: { model: given.model, epochs: given.epochs, keep: given["keep-params"], undo: given.undo ?? false },
        text: "done",
      };
    },
  });
  return { code: await made.run(raw, io), ...written, controller };
}

describe("a command", () => {
  test("prints its text on stdout and ends with 0", async () => {
    expect(await run(["a.onnx"])).toMatchObject({ code: 0, out: "done\n", err: "" });
  });

  test("prints one JSON object with --json, wherever the flag stands", async () => {
    for (const raw of [
      ["--json", "a.onnx", "--keep-params", "0.5"],
      ["a.onnx", "--keep-params=0.5", "--json"],
    ]) {
      const { code, out } = await run(raw);
      expect(code).toBe(0);
      expect(JSON.parse(out)).toEqual({ model: "a.onnx", epochs: "1", keep: "0.5", undo: false });
    }
  });

  test("prints its options with --help", async () => {
    const { code, out } = await run(["--help"]);
    expect(code).toBe(0);
    expect(out).toContain("--keep-params");
    expect(out).toContain("a command for tests");
  });

  test.each([
    [["a.onnx", "--epoch", "3"], "unknown option --epoch, did you mean --epochs?"],
    [["a.onnx", "--nothing-like-it"], "unknown option --nothing-like-it"],
    [["a.onnx", "b.onnx"], 'unexpected word "b.onnx"'],
    [[], "Missing required positional argument: MODEL"],
    [["a.onnx", "--epochs"], "--epochs needs a value"],
    [["a.onnx", "-o", "--json"], "-o needs a value"],
    [["a.onnx", "--layout", "fast"], "Expected one of: auto, dense"],
    [["a.onnx", "--undo=3"], "--undo takes no value"],
    [["a.onnx", "--no-epochs"], "unknown option --no-epochs"],
  ])("refuses %j as wrong use, with usage and exit code 2", async (raw, message) => {
    const { code, out, err } = await run(raw);
    expect(code).toBe(2);
    expect(out === "" || JSON.parse(out).error.code === "usage").toBe(true);
    expect(err).toContain("USAGE");
    expect(err).toContain(message);
  });

  test("takes negative numbers, aliases, camel case and repeated options", async () => {
    let seen: unknown;
    const { code } = await run(
      ["a.onnx", "-o", "out.onnx", "--epochs", "-1", "--set", "a=1", "--set=b=2"],
      (given, context) => {
        seen = [given.output, given.epochs, given.keepParams, context.repeated("set"), context.repeated("undo")];
      },
    );
    expect(code).toBe(0);
    expect(seen).toEqual(["out.onnx", "-1", undefined, ["a=1", "b=2"], []]);
  });

  test("prints a typed error with its cures and ends with 1", async () => {
    const fails = () => {
      throw new FilterBasisError("not-found", "no such file", { file: "a.onnx", cures: ["look at the name"] });
    };
    const { code, out, err } = await run(["a.onnx"], fails);
    expect({ code, out, err }).toEqual({
      code: 1,
      out: "",
      err: 'error not-found: file "a.onnx": no such file\n  cure: look at the name\n',
    });
    const inJson = await run(["a.onnx", "--json"], fails);
    expect(JSON.parse(inJson.out)).toEqual({
      error: { code: "not-found", message: 'file "a.onnx": no such file', file: "a.onnx", cures: ["look at the name"] },
    });
  });

  test("ends with 2 when the command itself finds the use wrong", async () => {
    const { code, err } = await run(["a.onnx"], () => {
      throw new FilterBasisError("usage", "--epochs must be at least 1");
    });
    expect(code).toBe(2);
    expect(err).toContain("--epochs must be at least 1");
  });

  test("prints the stack of a bug", async () => {
    const { code, err } = await run(["a.onnx"], () => {
      throw new TypeError("oops");
    });
    expect(code).toBe(1);
    expect(err).toContain("a bug of filterbasis");
    expect(err).toMatch(/TypeError: oops\n\s+at /);
  });

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ])("ends as shells expect after %s, whether it returns or throws", async (name, expected) => {
    for (const throws of [false, true]) {
      const { io, controller } = harness();
      const made = command({
        name: "try",
        summary: "",
        examples,
        args: {},
        async run(_, { signal }) {
          controller.abort(name);
          if (throws && signal.aborted) throw new FilterBasisError("interrupted", "saved and stopped");
          return { json: {}, text: "saved" };
        },
      });
      expect(await made.run([], io)).toBe(expected);
    }
  });

  test("that only reads ends at the first signal, however long its work would go on", async () => {
    for (const json of [[], ["--json"]]) {
      const { io, controller, written } = harness();
      const made = command({
        name: "try",
        summary: "",
        examples,
        args: {},
        readsOnly: true,
        run: () => new Promise<never>(() => setTimeout(() => controller.abort("SIGINT"), 5)),
      });
      expect(await made.run(json, io)).toBe(130);
      expect(written.err).toBe("interrupted\n");
      if (json.length > 0)
        expect(JSON.parse(written.out)).toEqual({ error: { code: "interrupted", message: "interrupted", cures: [] } });
    }
  });

  test("that writes is waited for after a signal, so that it can save", async () => {
    const { io, controller, written } = harness();
    const made = command({
      name: "try",
      summary: "",
      examples,
      args: {},
      async run() {
        controller.abort("SIGTERM");
        await new Promise((resolve) => setTimeout(resolve, 20));
        return { json: {}, text: "saved" };
      },
    });
    expect(await made.run([], io)).toBe(143);
    expect(written.out).toBe("saved\n");
  });

  test("that asks between reading and writing whether to go on ends there after a signal", async () => {
    const { io, controller, written } = harness();
    const made = command({
      name: "try",
      summary: "",
      examples,
      args: {},
      async run(_, { signal }) {
        setImmediate(() => controller.abort("SIGINT")); // as a signal that came while native code computed
        await stopIfAsked(signal);
        return { json: {}, text: "written" };
      },
    });
    expect(await made.run(["--json"], io)).toBe(130);
    expect(JSON.parse(written.out)).toMatchObject({ error: { code: "interrupted" } });
  });

  test("refuses options that exclude each other before it does anything", async () => {
    const { io, written } = harness();
    const made = command({
      name: "try",
      summary: "",
      examples,
      args: { a: { type: "string" }, b: { type: "boolean" } },
      rules: [{ oneOf: ["a", "b"], why: "there is one way" }],
      run: () => Promise.reject(new Error("it ran")),
    });
    expect(await made.run(["--a", "1", "--b", "--json"], io)).toBe(2);
    expect(JSON.parse(written.out)).toMatchObject({
      error: { code: "usage", message: "--a and --b exclude each other: there is one way" },
    });
  });

  test("shows names in results, notes, progress and errors so that none of them steers the terminal", async () => {
    const name = "a\u001b[2J\nerror internal: b";
    const { out, err } = await run(["a.onnx"], (_, context) => {
      context.note(`left ${name}`);
      const bar = context.progress(name, 2);
      bar.update(1, name);
      bar.stop();
      throw new FilterBasisError("malformed", name, { node: name, cures: [name] });
    });
    expect(out).toBe("");
    expect(err).not.toContain("\u001b");
    expect(err).not.toMatch(/^error internal/m);
    expect(err).toContain("left a\\u001b[2J\n  | error internal: b\n");
  });

  test("notes go to stderr and leave stdout alone", async () => {
    const { out, err } = await run(["a.onnx", "--json"], (_, context) => context.note("working"));
    expect(err).toBe("working\n");
    expect(JSON.parse(out)).toHaveProperty("model");
  });
});

test("JSON results carry big integers, typed arrays and maps as plain values", () => {
  expect(JSON.parse(toJson({ size: 5n, values: new Float32Array([0.5]), map: new Map([["a", 1]]) }))).toEqual({
    size: 5,
    values: [0.5],
    map: { a: 1 },
  });
});

test("progress away from a terminal is a line now and then, with the time left, and a last one", () => {
  let time = 0;
  let text = "";
  const progress = startProgress("epoch 1", 100, {
    stream: { write: (piece: string) => void (text += piece) },
    now: () => time,
  });
  for (let done = 1; done <= 100; done++) {
    time += 1000;
    progress.update(done, done === 100 ? "loss 0.5" : "");
  }
  progress.stop();
  progress.stop();
  const lines = text.trimEnd().split("\n");
  expect(lines).toHaveLength(10);
  expect(lines[0]).toBe("epoch 1: 10% 10/100  1m 30s left");
  expect(lines.at(-1)).toBe("epoch 1: 100% 100/100  loss 0.5");
});

test("parts of a step move the share, and are not printed", () => {
  let text = "";
  const progress = startProgress("moments", 20, {
    stream: { write: (piece: string) => void (text += piece) },
    now: () => 0,
  });
  progress.update(2.388059701492537);
  progress.stop();
  expect(text).toMatch(/^moments: 11% 2\/20 /);
});

test("a bar on a terminal shows the share, the time left and the remark", () => {
  let text = "";
  const stream = {
    write: (piece: string) => void (text += piece),
    isTTY: true,
    columns: 120,
    on: () => stream,
    removeListener: () => stream,
  };
  const progress = startProgress("epoch 1", 10, { stream });
  progress.update(5, "loss 0.5");
  progress.stop();
  expect(text).toContain("50% 5/10");
  expect(text).toContain("loss 0.5");
});

test.each([
  [850, "850 ms"],
  [12_000, "12 s"],
  [200_000, "3m 20s"],
  [7_500_000, "2h 05m"],
])("%d ms are said as %s", (milliseconds, text) => {
  expect(duration(milliseconds)).toBe(text);
});
