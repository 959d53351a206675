// A page has no folders to keep small.
import type * as original from "../../src/runtime/prune-folder.js";

export const cacheLimit: typeof original.cacheLimit = () => 0;

export const pruneFolder: typeof original.pruneFolder = async () => [];
