// Where the package lies, whether it runs from its sources or from dist.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { FilterBasisError } from "../errors/error.js";

/** The folder of this package, wherever this file was built to. */
export function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file) && (JSON.parse(readFileSync(file, "utf8")) as { name?: string }).name === "filterbasis")
      return folder;
    if (dirname(folder) === folder)
      throw new FilterBasisError("engine-missing", "the package's folder was not found", { file: folder });
  }
}
