// Where tests find real images, real networks and recorded reference results. None of it is part of the project: tests
// skip without it.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** The reason that a test gives when it skips. */
export const noShared = "the shared reference data is not here (set FILTERBASIS_SHARED)";

/**
 * The path of a file of reference data, or undefined. It is looked for in FILTERBASIS_SHARED, else in `shared` beside
 * the project.
 */
export function shared(path: string): string | undefined {
  const root = process.env.FILTERBASIS_SHARED ?? resolve(fileURLToPath(new URL("../../shared", import.meta.url)));
  const found = join(root, path);
  return existsSync(found) ? found : undefined;
}
