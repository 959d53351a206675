// Where fetched data and measured times are kept between runs.
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * The cache folder: FILTERBASIS_CACHE, else XDG_CACHE_HOME/filterbasis, else ~/.cache/filterbasis. Not created here.
 */
export function cacheFolder(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const { FILTERBASIS_CACHE: own, XDG_CACHE_HOME: shared } = environment;
  return own || join(shared || join(homedir(), ".cache"), "filterbasis");
}
