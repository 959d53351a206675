// The report as data: what `filterbasis report` shows. The page draws it, for a worker has no document.
import { reportOf } from "../../src/cli/calibrated-report.js";
import { fromKept } from "../../src/cli/kept-page.js";
import type { KeptReport } from "../../src/cli/kept-reports.js";
import type { Requests } from "../protocol.js";
import { known } from "./state.js";

export async function reportData({ pictures }: Requests["report"]["ask"]): Promise<Requests["report"]["answer"]> {
  const { given } = known("network");
  const { data } = known("plan");
  const result = known("result");
  const kept = reportOf(result, data.images.count * data.all.each) as unknown as KeptReport;
  const shown = fromKept(kept, given.file);
  const about = [...shown.about, `in WebAssembly in a browser: ${navigator.userAgent}`];
  return { title: result.file, ...shown, about, pictures };
}
