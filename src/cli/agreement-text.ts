// How a written model compares with the original, in words: for the end of every command that writes one.
import type { Agreement, OutputAgreement } from "../runtime/agreement.js";
import { oneLine } from "./visible.js";

/** One line an output: how far it is from the original's, or why that cannot be said. */
export function agreementLines({ outputs, feeds }: Agreement): readonly string[] {
  const on = feeds.length === 1 ? `1 input (${feeds[0]})` : `${feeds.length} inputs (${feeds.join(", ")})`;
  const lines = outputs.slice(0, most).map((output) => `  ${oneLine(output.output)}: ${describe(output)}`);
  const rest = outputs.length > most ? [`  and ${outputs.length - most} more outputs (--json lists them)`] : [];
  return [`outputs beside the original's, on ${on}:`, ...lines, ...rest];
}

const most = 8;

function describe({ state, reason, relative, correlation, equal, finite }: OutputAgreement): string {
  if (state === "random" || state === "unstable") return `not compared: ${reason ?? state}`;
  if (state === "constant") return `constant in the original${reason === null ? "" : ` (${reason})`}, the same here`;
  if (!finite || relative === null) return reason ?? "not comparable";
  if (equal !== null) return `${(100 * equal).toFixed(2)} % of its elements are equal`;
  const close = correlation === null ? "" : `, correlation ${correlation.toFixed(4)}`;
  return `relative error ${relative < 1e-3 ? relative.toExponential(1) : relative.toFixed(4)}${close}`;
}
