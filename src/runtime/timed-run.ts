// How a network is run where its time counts: all of it is computed, and only its smallest output is handed over. What
// JavaScript takes to receive the others (ISNet has twelve, of 119 MB) is not the network's time, and collecting them
// takes the processor away from the runs behind (decision 52).
import type { TensorData } from "../graph/types.js";
import type { Feeds, Session } from "./session.js";

/**
 * The position, among a session's outputs, of the one of the fewest bytes.
 * @param values - what a run gave
 */
function smallestOutput(session: Session, values: Readonly<Record<string, TensorData>>): number {
  const bytes = session.outputs.map(({ name }) => values[name]?.data.byteLength ?? Number.POSITIVE_INFINITY);
  return Math.max(0, bytes.indexOf(Math.min(...bytes)));
}

/**
 * Gives a function that runs this network, or another with the same outputs, and fetches its smallest output alone. On
 * the web all of them: a GPU may still compute when an output that does not come from it is there.
 * @param outputs - all of them, of a run; without them it is run once
 * @throws what `Session.run` throws
 */
export async function timedRun(
  session: Session,
  feeds: Feeds,
  outputs?: Readonly<Record<string, TensorData>>,
): Promise<(again?: Session) => Promise<unknown>> {
  const values = outputs ?? (await session.run(feeds));
  if (session.runtime === "web") return (again = session) => again.run(feeds);
  const smallest = smallestOutput(session, values);
  return (again = session) => again.run(feeds, [(again.outputs[smallest] ?? again.outputs[0]!).name]);
}
