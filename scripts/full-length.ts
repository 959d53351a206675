// What trainings of the paper's length would take on one GPU, as docs/comparing.md has it: estimates from what
// results/bench-cuda.json measured. Two ways, because neither is certain: at the measured steps or images a second,
// where that network was measured; and the arithmetic alone at the GPU's measured rate of convolutions: the least that
// it can take.
//   tsx scripts/full-length.ts      fills the table in docs/comparing.md
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildNet } from "../src/nets/table.js";
import { cost } from "../src/ops/cost/cost.js";
import { writeAside } from "../src/runtime/write.js";
import type { Recipe } from "../src/train/recipe.js";
import { loadRecipe } from "../src/train/recipe-files.js";

interface Bench {
  readonly batch: number;
  readonly rates: { readonly convolutionGflops: { readonly float32: number } };
  readonly speeds: readonly { readonly net: string; readonly precision: string; readonly imagesPerSecond: number }[];
}

/** Recipes, and which network of the benchmark is theirs. */
const rows: readonly (readonly [recipe: string, measured?: string])[] = [
  ["table1-baseline"],
  ["table2-srresnet-baseline"],
  ["table2-edsr-8-128-baseline"],
  ["table3-baseline-x2"],
  ["table4-baseline"],
  ["table5-resnet56-baseline", "resnet56"],
  ["table5-resnet56-basis", "resnet56"],
  ["table5-vgg16-baseline"],
];

/** The table in Markdown. */
export async function fullLengthTable(bench: Bench): Promise<string> {
  const lines = await Promise.all(rows.map(async ([name, net]) => line(name, await loadRecipe(name), bench, net)));
  return [
    "| recipe | steps | images a step | at the measured speed, hours | arithmetic alone, hours |",
    "|---|---:|---:|---:|---:|",
    ...lines,
  ].join("\n");
}

function line(name: string, recipe: Recipe, { batch, rates, speeds }: Bench, net: string | undefined): string {
  const { data, epochs, network } = recipe;
  const perEpoch = data.stepsPerEpoch ?? Math.ceil(50_000 / data.batch);
  const [steps, hour] = [epochs * perEpoch, 3600];
  const { name: built = "", file: _, ...options } = network;
  const graph = buildNet(built, { ...options, init: "zeros" });
  const side = data.name === "pairs" ? data.patch! / data.scale! : 32;
  const { macs } = cost(graph, new Map([[graph.inputs[0]!.name, [1, 3, side, side]]]));
  // forward once, backward twice; two operations each
  const arithmetic = (6 * macs * steps * data.batch) / (rates.convolutionGflops.float32 * 1e9) / hour;
  const speed = speeds.find((one) => one.net === net && one.precision === "float32")?.imagesPerSecond;
  // as many images a second as at the benchmark's batch, or only as many steps
  const measured = speed === undefined ? [] : [data.batch, batch].map((size) => (steps * size) / speed / hour);
  const range = measured.length === 0 ? "not measured" : measured.map((hours) => hours.toFixed(1)).join(" to ");
  const cells = [
    `\`${name}\``,
    steps.toLocaleString("en"),
    data.batch,
    range,
    arithmetic < 0.1 ? "< 0.1" : arithmetic.toFixed(1),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** The page with the table between its marks made anew. */
export const filled = (page: string, table: string): string =>
  page.replace(/(<!-- full-length -->\n)[\s\S]*?(<!-- end -->)/, (_, begin, end) => `${begin}${table}\n${end}`);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const bench = JSON.parse(readFileSync("results/bench-cuda.json", "utf8")) as Bench;
  const page = readFileSync("docs/comparing.md", "utf8");
  await writeAside("docs/comparing.md", filled(page, await fullLengthTable(bench)));
}
