// The tables of layers: of the network as it is, and of a plan.
import type { LayerRow, Opened, Planned, PlannedLayer } from "../protocol.js";
import { byId, milliseconds, percent, short } from "./dom.js";
import { sortedTable } from "./table.js";

interface TimedRow extends LayerRow {
  /** Of the network's time; undefined where it was not timed. */
  readonly share?: number;
}

export interface LayerTables {
  opened(opened: Opened): void;
  /** With each layer's share of the time. */
  timed(planned: Planned): void;
  planned(layers: readonly PlannedLayer[]): void;
  search(text: string): void;
}

export function layerTables(): LayerTables {
  let rows: readonly LayerRow[] = [];
  const network = sortedTable<TimedRow>(byId("layers"), "Layers of the network", [
    { title: "Layer", text: ({ name }) => name },
    { title: "Kind", text: ({ op }) => op },
    { title: "Shape", text: ({ shape }) => shape },
    { title: "Parameters", text: ({ parameters }) => short(parameters), value: ({ parameters }) => parameters },
    { title: "Precision", text: ({ precision }) => (precision === "int8" ? "8 bits" : "floats") },
    { title: "MACs", text: ({ macs }) => short(macs), value: ({ macs }) => macs },
    {
      title: "Time",
      text: ({ share }) => (share === undefined ? "–" : percent(share)),
      value: ({ share = -1 }) => share,
    },
    { title: "What can be done", text: ({ reason }) => reason ?? "can be replaced by a basis" },
  ]);
  const plan = sortedTable<PlannedLayer>(byId("planned"), "Layers of the plan", [
    { title: "Layer", text: ({ name }) => name },
    { title: "Becomes", text: ({ became }) => became },
    { title: "Loses", text: ({ error }) => percent(error), value: ({ error }) => error },
    { title: "Before", text: ({ original }) => time(original), value: ({ original = 0 }) => original },
    { title: "Then", text: ({ written }) => time(written), value: ({ written = 0 }) => written },
  ]);
  return {
    opened({ layers }) {
      rows = layers;
      network.show(rows);
    },
    timed({ points, milliseconds: whole }) {
      const times = new Map(points[0]?.layers.map(({ name, original }) => [name, original]));
      network.show(
        rows.map((row) => {
          const own = times.get(row.name);
          return own === undefined ? row : { ...row, share: Math.min(1, own / whole) };
        }),
      );
    },
    planned: (layers) => plan.show(layers),
    search: (text) => network.search(text),
  };
}

const time = (value: number | undefined): string => (value === undefined ? "–" : milliseconds(value));
