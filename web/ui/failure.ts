// What went wrong, or what the answer is where nothing can be gained: what it is, and what to do.
import type { ErrorCode } from "../../src/errors/error.js";
import type { Failure } from "../protocol.js";
import { byId, el } from "./dom.js";

const titles: Partial<Record<ErrorCode, string>> = {
  "does-not-pay": "This network does not become faster this way on this device",
  "budget-unreachable": "This network does not become faster this way on this device",
  malformed: "This file cannot be opened",
  "too-large": "This is too large for a tab",
  unsupported: "This network cannot be used here",
  runtime: "The runtime refuses this network",
  "loses-function": "This would lose too much",
  "data-mismatch": "The pictures do not fit the network",
};

export function showFailure(failure: Failure | undefined): void {
  const place = byId("failure");
  place.replaceChildren();
  if (failure === undefined) return;
  const { code, problem, expected, got, cures, place: where } = failure;
  const detail = [expected && `expected: ${expected}`, got && `got: ${got}`].filter(Boolean).join("; ");
  place.append(
    el("strong", {}, titles[code] ?? "This did not work"),
    el("p", {}, `${where ? `${where}: ` : ""}${problem}.`),
    ...(detail ? [el("p", { class: "soft" }, detail)] : []),
    ...(cures.length > 0 ? [el("p", {}, "What to do:"), el("ul", {}, ...cures.map((cure) => el("li", {}, cure)))] : []),
  );
}
