// A process that only runs models in ONNX Runtime, with nothing of filterbasis in it: what the table of wild networks
// measures, it measures here. One task as JSON on standard input, its result as JSON on standard output.
//
//   probe       { model, candidates }            the first candidate feeds with which the model runs
//   difference  { reference, others, feeds }     outputs of others against those of the reference
//   time        { models, feeds, seconds, ... }  milliseconds of each, in turns
//   peak        { model, feeds }                 the most memory that running it takes
import { readFileSync } from "node:fs";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { differenceOf } from "./outputs.mjs";
import { peakKiB } from "./peak.mjs";
import { valuesOf } from "./values.mjs";

const task = JSON.parse(readFileSync(0, "utf8"));

const open = (model, level = "all") =>
  InferenceSession.create(model, {
    executionProviders: ["cpu"],
    logSeverityLevel: 4,
    interOpNumThreads: 1,
    intraOpNumThreads: 1,
    graphOptimizationLevel: level,
  });

/** The feeds as tensors: every value from the seed, the kind of feed and the input's name. */
const tensors = (feed) =>
  Object.fromEntries(
    feed.inputs.map((input) => [input.name, new Tensor(input.type, valuesOf(input, feed.kind, feed.seed), input.dims)]),
  );

const firstLine = (error) => String(error?.message ?? error).split("\n")[0];

async function probe({ model, candidates }) {
  let session;
  try {
    session = await open(model);
  } catch (error) {
    return { opens: false, failures: [firstLine(error)] };
  }
  const port = ({ name, type, shape }) => ({ name, type, dims: shape });
  const ports = { inputs: session.inputMetadata.map(port), outputs: session.outputMetadata.map(port) };
  const failures = [];
  for (const [index, feed] of candidates.entries()) {
    try {
      await session.run(tensors(feed));
      return { opens: true, runs: index, ...ports, failures };
    } catch (error) {
      failures.push(firstLine(error));
    }
  }
  return { opens: true, ...ports, failures };
}

/** One model at a time, so that two never share the memory. */
async function outputsOf(model, level, feeds) {
  const session = await open(model, level);
  const made = [];
  for (const feed of feeds) {
    const outputs = await session.run(tensors(feed));
    made.push(
      Object.fromEntries(Object.entries(outputs).map(([name, { type, dims, data }]) => [name, { type, dims, data }])),
    );
  }
  await session.release();
  return made;
}

async function difference({ reference, others, feeds }) {
  const expected = await outputsOf(reference, "all", feeds);
  const results = [];
  for (const { model, level } of others) {
    try {
      results.push({ outputs: differenceOf(await outputsOf(model, level, feeds), expected) });
    } catch (error) {
      results.push({ failure: firstLine(error) });
    }
  }
  return results;
}

async function burst(session, feed, count) {
  const cpu = process.cpuUsage();
  const wall = process.hrtime.bigint();
  for (let run = 0; run < count; run++) await session.run(feed);
  const used = process.cpuUsage(cpu);
  return { cpu: (used.user + used.system) / 1000 / count, wall: Number(process.hrtime.bigint() - wall) / 1e6 / count };
}

/**
 * Rounds of one burst of each model, the order turned round every time; bursts of at least `burstMs`, rounds until
 * `seconds` are over.
 */
async function time({ models, feeds, seconds, leastRounds, mostRounds, burstMs }) {
  const feed = tensors(feeds[0]);
  const sessions = [];
  for (const model of models) sessions.push(await open(model));
  let longest = 0;
  for (let warm = 0; warm < 2; warm++)
    for (const session of sessions) longest = Math.max(longest, (await burst(session, feed, 1)).wall);
  const count = Math.max(1, Math.ceil(burstMs / longest));
  const rounds = [];
  const start = performance.now();
  while (rounds.length < leastRounds || (performance.now() - start < seconds * 1000 && rounds.length < mostRounds)) {
    const round = [];
    const order = sessions.map((_, index) => index);
    if (rounds.length % 2 === 1) order.reverse();
    for (const index of order) round[index] = await burst(sessions[index], feed, count);
    rounds.push(round);
  }
  return { rounds, runsInBurst: count };
}

async function peak({ model, feeds }) {
  const session = await open(model);
  for (let run = 0; run < 3; run++) await session.run(tensors(feeds[0]));
  return { peakKiB: peakKiB() };
}

const result = await { probe, difference, time, peak }
  [task.mode](task)
  .catch((error) => ({ failure: firstLine(error) }));
process.stdout.write(JSON.stringify(result, (_, value) => (Number.isNaN(value) ? "NaN" : value)));
