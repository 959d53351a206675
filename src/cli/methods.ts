// `methods`: lists the ways to make a network smaller, or the options of one as recipes give them.
import type { Method } from "../methods/method.js";
import { methodNamed, methods } from "../methods/methods.js";
import { aboutOf } from "../methods/options.js";
import { columns } from "./columns.js";
import { command } from "./frame.js";

export default command({
  name: "methods",
  summary: "list the methods of compression, or the options of one",
  examples: ["methods", "methods basis"],
  args: { method: { type: "positional", description: "a method whose options are listed", required: false } },
  readsOnly: true,
  async run({ method }) {
    const asked = method === undefined ? Object.values<Method>(methods) : [methodNamed(method)];
    const entries = asked.map(({ name, from, summary, remembered, options }) => ({
      ...{ name, from, summary, ...(remembered === undefined ? {} : { remembered }) },
      options: describe(options),
    }));
    return { json: { methods: entries }, text: method === undefined ? list(entries) : details(entries[0]!) };
  },
});

type Entry = Pick<Method, "name" | "from" | "summary" | "remembered"> & {
  readonly options: ReturnType<typeof describe>;
};

const describe = (options: Method["options"]) =>
  Object.entries(options).map(([name, field]) => ({ name, description: aboutOf(field) }));

const start = ({ from }: Entry): string => (from === "weights" ? "trained weights" : "new weights");

const list = (entries: readonly Entry[]): string =>
  columns([["method", "starts from", ""], ...entries.map((entry) => [entry.name, start(entry), entry.summary])]);

function details(entry: Entry): string {
  const { name, summary, remembered, options } = entry;
  const rows = options.map((option) => [option.name, option.description]);
  const doubt = remembered === undefined ? [] : [`remembered or our own, not read in its paper or code: ${remembered}`];
  return [`${name}: ${summary}; starts from ${start(entry)}`, ...doubt, "", columns([["option", ""], ...rows])].join(
    "\n",
  );
}
