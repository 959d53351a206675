// `methods`: lists the ways to make a network smaller.
import { methods } from "../methods/methods.js";
import { columns } from "./columns.js";
import { command } from "./frame.js";

export default command({
  name: "methods",
  summary: "list the methods of compression",
  args: {},
  readsOnly: true,
  async run() {
    const entries = Object.entries(methods).map(([name, { summary, from }]) => ({ name, from, summary }));
    return {
      json: { methods: entries },
      text: columns([
        ["method", "starts from", ""],
        ...entries.map(({ name, from, summary }) => [name, from === "weights" ? "trained weights" : "new weights", summary]),
      ]),
    };
  },
});
