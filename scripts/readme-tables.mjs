// Fills the tables of README.md and of some pages of docs, between `<!-- table NAME -->` and `<!-- end -->`, from
// results/NAME.json.
//
//   node scripts/readme-tables.mjs           writes
//   node scripts/readme-tables.mjs --check   only compares; exit code 1 when a page is not what the files say
//
// NAME may go on with a dot and a field of the file, whose table then stands under the file's conditions.
//
// A file holds { before, compressed, trained } (metrics as `evaluate` names them), or { rows } of such metrics with a
// label each, or a table as it is, { columns, rows }; beside them the conditions: date, machine, versions, seed,
// images, command.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = new URL("../", import.meta.url);
const pages = ["README.md", "docs/calibration.md", "docs/eight-bits.md", "docs/fine-tuning.md"];

const thousands = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, " ");

const metrics = [
  ["top1Error", "top-1 error", (value) => `${value.toFixed(2)} %`],
  ["psnr", "PSNR", (value) => `${value.toFixed(2)} dB`],
  ["ssim", "SSIM", (value) => value.toFixed(4)],
  ["weights", "weights", thousands],
  ["macs", "MACs", (value) => (value < 1e9 ? `${(value / 1e6).toFixed(2)} M` : `${(value / 1e9).toFixed(2)} G`)],
  ["bytes", "file", (value) => `${(value / 1000).toFixed(0)} kB`],
  ["latencyMs", "latency", (value) => `${value.toFixed(2)} ms`],
];

/**
 * The states of a model that a file holds, as [label, metrics]: named fields, or rows with a label (what `demo --json`
 * prints).
 */
function statesOf(result) {
  if (Array.isArray(result.rows)) return result.rows.map((row) => [stateName(row.label), row]);
  const names = ["before", "compressed", "trained", "learned"];
  return names.filter((name) => result[name]).map((name) => [stateName(name), result[name]]);
}

/** Results of 0.1 call the trained model the learned one. */
const stateName = (name) => (name === "learned" ? "trained" : name);

/**
 * The Markdown of a result: a table and one line of conditions.
 * @param up from the page's folder to the project's, for the link to the file
 */
export function renderResult(result, name, up = "") {
  const { columns, rows } = result.columns === undefined ? metricTable(statesOf(result)) : result;
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const table = [line(columns), line(columns.map((_, index) => (index === 0 ? "---" : "---:"))), ...rows.map(line)];
  const title = result.title ? [`${result.title}:`, ""] : [];
  const file = `results/${name.split(".")[0]}.json`;
  return [...title, ...table, "", `<sub>${conditions(result)} [${file}](${up}${file})</sub>`].join("\n");
}

function metricTable(states) {
  const has = (key) => states.some(([, values]) => typeof values[key] === "number");
  const cell = (value, print) => (typeof value === "number" ? print(value) : "–");
  return {
    columns: ["", ...states.map(([label]) => label)],
    rows: metrics
      .filter(([key]) => has(key))
      .map(([key, label, print]) => [label, ...states.map(([, values]) => cell(values[key], print))]),
  };
}

function conditions({ date, machine, versions = {}, seed, images, command, n }) {
  const plain = (value) =>
    typeof value === "object" && value !== null
      ? Object.values(value)
          .filter((part) => typeof part !== "object")
          .join(" ")
      : value;
  const parts = [
    date?.slice(0, 10), // the day
    plain(machine),
    ...Object.entries(versions).map(([name, version]) => `${name} ${version}`),
    seed === undefined ? undefined : `seed ${seed}`,
    images === undefined ? undefined : `${images} test images`,
    n === undefined ? undefined : `n = ${n}`,
    command === undefined ? undefined : `\`${command}\``,
  ];
  return `${parts.filter((part) => part !== undefined && part !== null && part !== "").join(", ")}.`;
}

/** A page with every table made anew; `read` gives a result by name, or undefined where there is none. */
export function fillTables(page, read, up = "") {
  return page.replace(/<!-- table (\S+) -->\n[\s\S]*?<!-- end -->/g, (_, name) => {
    const result = read(name);
    return `<!-- table ${name} -->\n${result === undefined ? "" : `${renderResult(result, name, up)}\n`}<!-- end -->`;
  });
}

function readResult(name) {
  const [base, field] = name.split(".");
  const file = new URL(`results/${base}.json`, root);
  if (!existsSync(file)) return undefined;
  const result = JSON.parse(readFileSync(file, "utf8"));
  if (field === undefined) return result;
  const { date, machine, versions, seed, command } = result;
  return result[field] && { date, machine, versions, seed, command, ...result[field] };
}

function fillPage(page) {
  const path = new URL(page, root);
  const before = readFileSync(path, "utf8");
  const after = fillTables(before, readResult, "../".repeat(page.split("/").length - 1));
  if (after === before) return;
  if (process.argv.includes("--check")) {
    console.error(`${page}: its tables are not what results/ says; npm run readme`);
    process.exitCode = 1;
  } else {
    writeFileSync(path, after);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) for (const page of pages) fillPage(page);
