// `serve`: the web page on this machine, for a browser on this machine.
import { join } from "node:path";
import { packageRoot } from "../torch/index.js";
import { command } from "./frame.js";
import { servePage } from "./page-server.js";
import { whole } from "./values.js";

export default command({
  name: "serve",
  summary: "the web page on the loopback address: compress a model in a browser; nothing is uploaded",
  examples: ["serve", "serve --port 8000"],
  args: {
    port: { type: "string", description: "the port; 0 takes any that is free (default: 8917)", valueHint: "N" },
  },
  readsOnly: true,
  async run({ port }, { note, signal }) {
    const asked = whole("--port", port, 0, 65_535) ?? 8917;
    const { server, url } = await servePage(join(packageRoot(), "dist", "web"), asked);
    note(`the page is at ${url} (Ctrl-C ends it)`);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    server.closeAllConnections();
    server.close();
    return { json: { url }, text: `served ${url}` };
  },
});
