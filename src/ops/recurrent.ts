// Recurrent layers: RNN, GRU, LSTM.
import { readInt, readString } from "../graph/attributes.js";
import type { Family, Operator, SumRule } from "./operator.js";
import { input, needRank, type Rule, same } from "./rules/call.js";

/**
 * X [sequence, batch, features], W [directions, gates x hidden, features], R [directions, gates x hidden, hidden];
 * layout 1 has the batch first.
 */
const shapes: Rule = (call) => {
  const { type, dims } = input(call, 0);
  needRank(call, 0, 3);
  const [first = null, second = null, features = null] = dims ?? [];
  const [weights, state] = [input(call, 1).dims, input(call, 2).dims];
  same(call, features, weights?.[2] ?? null, "the features of the input and of the weight");
  const hidden = state?.[2] ?? readInt(call.node, "hidden_size", undefined) ?? null;
  const directions = readString(call.node, "direction", "forward") === "bidirectional" ? 2 : 1;
  const batchFirst = readInt(call.node, "layout", 0) === 1;
  const [sequence, batch] = batchFirst ? [second, first] : [first, second];
  const last = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  const all = batchFirst ? [batch, sequence, directions, hidden] : [sequence, directions, batch, hidden];
  return [
    { type, dims: all },
    { type, dims: last },
    { type, dims: last },
  ];
};

/** At every step of the sequence. */
const sums: SumRule = (_, sizes) => (sizes(0)[0] ?? 1) * ((sizes(1)[2] ?? 1) + (sizes(2)[2] ?? 1));

const recurrent: Operator = { shapes, sums, demands: (_, known) => [[known(0).dims?.[2], known(1).dims?.[2]]] };

export const recurrents = { RNN: recurrent, GRU: recurrent, LSTM: recurrent } satisfies Family;
