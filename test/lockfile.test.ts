import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

test.each(["package-lock.json", "scripts/api-reference/package-lock.json"])(
  "%s names every optional package of every platform: npm ci refuses it otherwise",
  (file) => {
    const { packages } = JSON.parse(readFileSync(new URL(`../${file}`, import.meta.url), "utf8")) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !packages[`${path}/node_modules/${name}`] && !packages[`node_modules/${name}`],
      ),
    );
    expect(missing).toEqual([]);
  },
);
