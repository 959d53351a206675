// `recipes`: lists the recipes that come with the project; those that stand for a row of the paper say which.
import { basename, extname } from "node:path";
import { listRecipes, loadRecipe } from "../train/recipe-files.js";
import { columns } from "./columns.js";
import { command } from "./frame.js";

export default command({
  name: "recipes",
  summary: "list the recipes",
  examples: ["recipes", "recipes --json"],
  args: {},
  readsOnly: true,
  async run() {
    const recipes = await Promise.all(
      (await listRecipes()).map(async (file) => {
        const recipe = await loadRecipe(file);
        const { network, compress, data, epochs, table } = recipe;
        return {
          name: basename(file, extname(file)),
          file,
          network: network.name ?? network.file ?? "",
          method: compress?.method ?? null,
          data: data.name,
          epochs,
          ...(table === undefined ? {} : { table: table.number, row: table.row }),
        };
      }),
    );
    const rows = recipes.map(({ name, network, method, data, epochs, table, row }) => [
      name,
      network,
      method ?? "-",
      data,
      String(epochs),
      table === undefined ? "" : `table ${table}: ${row}`,
    ]);
    return { json: { recipes }, text: columns([["recipe", "network", "method", "data", "epochs", ""], ...rows]) };
  },
});
