// The table as a file: what has been measured stays when a run is stopped, and is not measured again.

import { existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Conditions } from "../../bench/result.js";
import { writeAside } from "../../src/runtime/write.js";
import { shared } from "../../test/shared.js";
import type { Effort } from "./measure.js";
import type { ModelFacts, Row } from "./rows.js";

export interface Table extends Partial<Conditions> {
  readonly filterbasis?: string;
  readonly effort?: Effort;
  readonly threads?: number;
  readonly seed?: number;
  readonly models: readonly ModelFacts[];
  readonly rows: readonly Row[];
}

export function readTable(file: string): Table {
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Table) : { models: [], rows: [] };
}

export async function writeTable(file: string, table: Table): Promise<void> {
  // Messages name files by where they lie on this machine; the table only by their names.
  const folder = dirname(shared("wild") ?? "");
  const text = JSON.stringify(table, null, 1).replaceAll(`${folder}/`, "");
  await writeAside(file, new TextEncoder().encode(`${text}\n`));
}

export const rowOf = ({ rows }: Table, model: string, operation: string): Row | undefined =>
  rows.find((row) => row.model === model && row.operation === operation);

/** The table with a row put in or replaced; rows stand by model, then as the operations run. */
export function withRow(table: Table, row: Row, order: readonly string[]): Table {
  const others = table.rows.filter(({ model, operation }) => model !== row.model || operation !== row.operation);
  const place = (one: Row) => `${one.model.toLowerCase()} ${order.indexOf(one.operation)}`;
  return { ...table, rows: [...others, row].sort((a, b) => (place(a) < place(b) ? -1 : 1)) };
}

export function withFacts(table: Table, facts: ModelFacts): Table {
  const others = table.models.filter(({ name }) => name !== facts.name);
  return {
    ...table,
    models: [...others, facts].sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1)),
  };
}
