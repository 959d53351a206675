// The report: the same page that `filterbasis report` writes. Its charts are a chunk of their own, loaded when asked for.
import { reportOf } from "../../src/cli/calibrated-report.js";
import { fromKept } from "../../src/cli/kept-page.js";
import type { KeptReport } from "../../src/cli/kept-reports.js";
import type { Requests } from "../protocol.js";
import { known } from "./state.js";

export async function reportPage({ pictures }: Requests["report"]["ask"]): Promise<string> {
  const { given } = known("network");
  const { data } = known("plan");
  const result = known("result");
  const [{ compressionPage }, { parseHTML }] = await Promise.all([
    import("../../src/report/compression.js"),
    import("linkedom/worker"),
  ]);
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const kept = reportOf(result, data.images.count) as unknown as KeptReport;
  const shown = fromKept(kept, given.file);
  const about = [...shown.about, `in WebAssembly in a browser: ${navigator.userAgent}`];
  return compressionPage({ title: result.file, ...shown, about, pictures }, document as unknown as Document);
}
