// How the tests run: files in forked processes (the native engine is loaded once in each), two at a time.
import { defineConfig } from "vitest/config";

const report = process.env.FILTERBASIS_TEST_REPORT;

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Where the counts of a whole run are wanted as a file (the closing line of .ci/run).
    ...(report ? { reporters: ["default", ["json", { outputFile: report }] as const] } : {}),
  },
});
