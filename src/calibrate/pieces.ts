// A network run piece by piece, so that what is looked at of an image is never held all at once: each piece gives the
// values that are looked at in it and those that later pieces read.
import type { Graph, Node } from "../graph/types.js";
import type { Engine, Values } from "./engine.js";
import { liveAt, movingValues, openTap, type Tap, type Types } from "./segment.js";

/** A value that is looked at where a node reads it. */
export interface Stop {
  readonly node: Node;
  readonly value: string;
  readonly bytes: number;
}

export interface Pieces {
  /** Gives the values that are looked at, piece by piece. */
  run(fed: Values, look: (values: Values, stops: readonly Stop[]) => void): Promise<void>;
  close(): Promise<void>;
}

interface Piece {
  readonly stops: Stop[];
  /** Values that are read from here on and were made before. */
  readonly known: readonly string[];
}

/** @param most bytes of looked-at values in a piece, where the network can be cut so */
export async function openPieces(
  engine: Engine,
  graph: Graph,
  stops: readonly Stop[],
  types: Types,
  most: number,
): Promise<Pieces> {
  const pieces = piecesOf(graph, stops, types, most);
  const taps: Tap[] = [];
  const close = async () => {
    for (const tap of taps) await tap.close();
  };
  try {
    for (const [i, { stops: own, known }] of pieces.entries()) {
      const wanted = new Set([...own.map(({ value }) => value), ...(pieces[i + 1]?.known ?? [])]);
      taps.push(await openTap(engine, graph, new Set(known), [...wanted], types));
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async run(fed, look) {
      let present: Values = {};
      for (const [i, { stops: own }] of pieces.entries()) {
        const values = await taps[i]!.run(fed, present);
        look(values, own);
        present = Object.fromEntries((pieces[i + 1]?.known ?? []).map((name) => [name, values[name]!]));
      }
    },
    close,
  };
}

function piecesOf(graph: Graph, stops: readonly Stop[], types: Types, most: number): readonly Piece[] {
  const place = new Map(graph.nodes.map((node, at) => [node, at]));
  const moving = movingValues(graph);
  const pieces: Piece[] = [{ stops: [], known: [] }];
  let seen = new Map<string, number>();
  for (const stop of [...stops].sort((a, b) => place.get(a.node)! - place.get(b.node)!)) {
    const held = [...seen.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (held > 0 && !seen.has(stop.value) && held + stop.bytes > most) {
      const known = liveAt(graph, place.get(stop.node)!, moving, types);
      if (known !== undefined) {
        pieces.push({ stops: [], known });
        seen = new Map();
      }
    }
    seen.set(stop.value, stop.bytes);
    pieces.at(-1)!.stops.push(stop);
  }
  return pieces;
}
