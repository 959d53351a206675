// A browser for tests that must see what a person sees: the system's Chromium, driven by playwright-core.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** The path of a Chromium or Chrome, or undefined: then a test skips and says `noBrowser`. */
export function chromium(): string | undefined {
  const named = process.env.CHROMIUM;
  if (named) return named;
  return ["chromium", "chromium-browser", "google-chrome"]
    .map((name) => spawnSync("which", [name], { encoding: "utf8" }).stdout?.trim())
    .find((path) => path && existsSync(path));
}

export const noBrowser = "no Chromium here (apt-get install chromium, or CHROMIUM=/path)";
