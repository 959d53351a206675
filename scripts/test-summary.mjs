// Prints "N passed, N failed, N skipped" from vitest's JSON report; counts one failure when something else than a test
// failed. usage: node scripts/test-summary.mjs REPORT EXITCODE
import { readFileSync } from "node:fs";

const [report = "", code = "0"] = process.argv.slice(2);
const text = readFileSync(report, "utf8");
const counts = text === "" ? {} : JSON.parse(text);
const passed = counts.numPassedTests ?? 0;
let failed = counts.numFailedTests ?? 0;
const skipped = (counts.numPendingTests ?? 0) + (counts.numTodoTests ?? 0);
// A file that does not load, a failed check or demo: no failed test, and yet not passed.
if (failed === 0 && (code !== "0" || counts.success === false)) failed = 1;
if (passed === 0 && failed === 0) failed = 1; // nothing ran
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
