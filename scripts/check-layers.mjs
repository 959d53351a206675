// Checks what the architecture promises: the order of the layers, pure layers free of Node, short files that say what they are for.
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { fileURLToPath } from "node:url";

/** Each may import only itself and those before it. */
const layers = [
  "errors",
  "linalg",
  "graph",
  "onnx",
  "basis",
  "compress",
  "nets",
  "report",
  "engine",
  "runtime",
  "data",
  "evaluate",
  "train",
  "cli",
];
/** These run in a browser too. */
const pure = layers.slice(0, layers.indexOf("engine"));
const longest = 300;

/**
 * The faults of a set of files.
 * @param {ReadonlyMap<string, string>} files path under src/ (with "/") -> text
 * @returns {string[]} one sentence a fault, beginning with the path and line
 */
export function layerFaults(files) {
  const faults = [];
  for (const [path, text] of files) {
    const own = path.includes("/") ? path.split("/")[0] : undefined;
    const test = path.endsWith(".test.ts");
    const isPure = own === undefined ? path === "browser.ts" : pure.includes(own);
    const code = blank(text);
    const fault = (index, message) => faults.push(`src/${path}:${text.slice(0, index).split("\n").length}: ${message}`);

    if (own !== undefined && !layers.includes(own)) fault(0, `${own} is not a layer`);
    const lines = text.split("\n").length - 1;
    if (!test && lines > longest) fault(text.length - 1, `${lines} lines, at most ${longest} are allowed`);
    if (!test && !/^(#!.*\n)?(\/\/|\/\*)/.test(text)) fault(0, "does not open with a comment that says what it is for");

    for (const { index, from } of imports(text, code)) {
      if (from.startsWith("node:") && isPure && !test) fault(index, `${own ?? path} is pure and may not import ${from}`);
      if (!from.startsWith(".")) continue;
      const target = posix.join(posix.dirname(path), from);
      if (target.startsWith("..")) {
        if (!test && !(own === "engine" || own === "cli")) fault(index, `may not import from outside src: ${from}`);
        continue;
      }
      if (!from.endsWith(".js") && !from.endsWith(".json")) fault(index, `import of ${from} needs its .js ending`);
      const other = target.includes("/") ? target.split("/")[0] : undefined;
      if (test) continue; // a test may check its layer with the help of later ones
      if (other === undefined) {
        if (own !== undefined) fault(index, `${own} may not import a door (${from})`);
      } else if (own !== undefined && layers.indexOf(other) > layers.indexOf(own)) fault(index, `${own} may not import ${other}`);
      else if (own === undefined && isPure && !pure.includes(other))
        fault(index, `${path} may import pure layers only, not ${other}`);
    }
    if (isPure && !test) {
      for (const match of code.matchAll(
        /(?<![.\w$"'])(Buffer|process|__dirname|__filename|setImmediate|require)\b(?!\s*[:?])/g,
      )) {
        fault(match.index, `${own ?? path} is pure and may not use ${match[1]}`);
      }
    }
  }
  return faults;
}

function* imports(text, code) {
  // Positions come from the code with strings blanked (so that examples in strings do not count), names from the text.
  for (const match of code.matchAll(
    /(?:^|[\s;}])(?:import|export)\b[^;"'`]*?\bfrom\s*["']|(?:^|[\s;}])import\s*["']|\bimport\s*\(\s*["']/g,
  )) {
    const start = match.index + match[0].length;
    const quote = text[start - 1];
    yield { index: start, from: text.slice(start, text.indexOf(quote, start)) };
  }
}

/** The text with comments and the insides of strings and templates' plain parts blanked, same length. */
function blank(text) {
  return text.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g, (match) => {
    const quote = match[0];
    if (quote === "/") return match.replace(/[^\n]/g, " ");
    return quote + match.slice(1, -1).replace(/[^\n]/g, " ") + quote;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL("../src/", import.meta.url));
  const names = readdirSync(root, { recursive: true }).map((name) => name.replaceAll("\\", "/"));
  const files = new Map(
    names
      .filter((name) => /\.ts$/.test(name))
      .sort()
      .map((name) => [name, readFileSync(join(root, name), "utf8")]),
  );
  const faults = layerFaults(files);
  for (const line of faults) console.error(line);
  console.log(`layers: ${files.size} files, ${faults.length} faults`);
  process.exitCode = faults.length > 0 ? 1 : 0;
}
