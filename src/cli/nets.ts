// `nets`: lists the networks of the zoo, or writes one as ONNX.
import { FilterBasisError } from "../errors/error.js";
import { loadWeights } from "../nets/load-weights.js";
import { buildNet, netOptions, nets } from "../nets/table.js";
import { cost } from "../ops/cost/cost.js";
import { saveModel } from "../runtime/files.js";
import { checkOutput } from "../runtime/output.js";
import { readWeights } from "../runtime/weights.js";
import { columns, grouped } from "./columns.js";
import { command, stopIfAsked } from "./frame.js";

export default command({
  name: "nets",
  summary: "list the networks, or write one: nets NAME -o FILE",
  examples: ["nets", "nets resnet -o resnet56.onnx --set depth=56"],
  args: {
    name: { type: "positional", description: "a network of the list", required: false },
    output: { type: "string", alias: "o", description: "the ONNX file to write", valueHint: "FILE" },
    set: {
      type: "string",
      description: "an option of the network, such as scale=2; may be repeated",
      valueHint: "OPTION=VALUE",
    },
    weights: {
      type: "string",
      description: "trained weights: safetensors, or what torch.save wrote",
      valueHint: "FILE",
    },
    keep: {
      type: "string",
      description: "parameters that the weight file may lack, such as tail.*",
      valueHint: "PATTERN",
    },
    seed: { type: "string", description: "the seed of the new weights", valueHint: "N" },
  },
  rules: [
    ...["output", "weights", "set", "seed", "keep"].map((option) => ({
      option,
      needs: ["NAME"],
      why: `name a network: ${Object.keys(nets).join(", ")}`,
    })),
    { option: "keep", needs: ["weights"], why: "it is about a weight file" },
  ],
  async run({ name, output, weights, keep, seed }, context) {
    const set = context.repeated("set");
    if (name === undefined) return list();
    if (output === undefined)
      throw new FilterBasisError("usage", "name the file to write with -o", { field: "output" });
    await checkOutput(output, { inputs: weights === undefined ? [] : [weights] });
    const options = Object.fromEntries([...set, ...(seed === undefined ? [] : [`seed=${seed}`])].map(assignment));
    const built = buildNet(name, options);
    const file = weights === undefined ? undefined : await readWeights(weights);
    const loaded =
      file &&
      loadWeights(built, file.tensors, {
        aliases: file.aliases,
        file: weights as string,
        ...(keep === undefined ? {} : { keep }),
      });
    for (const parameter of loaded?.kept ?? []) context.note(`not in the weight file: ${parameter}`);
    const graph = loaded?.graph ?? built;
    await stopIfAsked(context.signal);
    await saveModel(graph, output);
    const { weights: count, parameters, macs, bytes, inputs } = cost(graph);
    const at = [...inputs].map(([input, dims]) => `${input} ${dims.join("x")}`).join(", ");
    return {
      json: {
        name,
        options,
        output,
        weights: count,
        parameters,
        macs,
        bytes,
        inputs: Object.fromEntries(inputs),
        kept: loaded?.kept ?? [],
      },
      text: `${output}: ${name}, ${grouped(count)} weights, ${grouped(parameters)} parameters in all, ${grouped(macs)} MACs at ${at}`,
    };
  },
});

function list() {
  const entries = Object.entries(nets).map(([name, { summary, task }]) => ({
    name,
    task,
    summary,
    options: netOptions(name),
  }));
  return {
    json: { nets: entries },
    text: columns([
      ["network", "task", "", "options"],
      ...entries.map(({ name, task, summary, options }) => [name, task, summary, options.join(" ")]),
    ]),
  };
}

/** option=value: a number, true, false, or text. */
function assignment(text: string): readonly [string, unknown] {
  const at = text.indexOf("=");
  if (at < 1)
    throw new FilterBasisError("usage", "--set takes option=value", { got: text, expected: "for example scale=2" });
  const [key, value] = [text.slice(0, at), text.slice(at + 1)];
  if (value === "true" || value === "false") return [key, value === "true"];
  if (value.startsWith("[")) return [key, value.slice(1, -1).split(",").map(Number)];
  return [key, value !== "" && Number.isFinite(Number(value)) ? Number(value) : value];
}
