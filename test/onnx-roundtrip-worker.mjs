// Runs two versions of a model in ONNX Runtime and says whether their outputs are the same bits. In a process of its
// own: a model that brings native code down must not take the tests with it.
import { InferenceSession, Tensor } from "onnxruntime-node";

// As in src/runtime/session.ts, which a script that Node runs as it stands, without a build, cannot import.
const arrays = {
  float32: Float32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  uint16: Uint16Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  float64: Float64Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  float16: Uint16Array,
};

function toTensor({ type, dims, data, strings }) {
  if (type === "string")
    return new Tensor(
      "string",
      strings.map((text) => new TextDecoder().decode(text)),
      dims,
    );
  if (!(type in arrays)) throw new Error(`no tensors of type ${type} in onnxruntime-node`);
  return new Tensor(type, new arrays[type](Uint8Array.from(data).buffer), dims);
}

async function open(bytes) {
  return InferenceSession.create(bytes, { logSeverityLevel: 4, intraOpNumThreads: 1, interOpNumThreads: 1 });
}

async function run(session, inputs) {
  const feeds = {};
  session.inputNames.forEach((name, at) => {
    if (inputs[at] !== undefined) feeds[name] = toTensor(inputs[at]);
  });
  return session.run(feeds);
}

function bits({ type, dims, data }) {
  const content = ArrayBuffer.isView(data)
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")
    : data;
  return JSON.stringify([type, dims, content]);
}

async function compare({ original, rewritten, inputs, unfit }) {
  let first;
  try {
    first = await open(original);
  } catch (error) {
    return { outcome: "not opened", reason: error.message };
  }
  // From here on whatever fails with the rewritten model alone is our fault.
  const second = await open(rewritten);
  const names = (session) =>
    JSON.stringify([session.inputNames, session.outputNames, session.inputMetadata, session.outputMetadata]);
  if (names(first) !== names(second))
    return { outcome: "different", reason: `interface: ${names(first)} and ${names(second)}` };
  if (unfit !== undefined) return { outcome: "opened", reason: unfit };
  let wanted;
  try {
    wanted = await run(first, inputs);
  } catch (error) {
    let same;
    await run(second, inputs).catch((other) => {
      same = other.message === error.message;
    });
    return same
      ? { outcome: "opened", reason: `does not run: ${error.message}` }
      : { outcome: "different", reason: error.message };
  }
  const got = await run(second, inputs);
  for (const name of first.outputNames) {
    if (bits(wanted[name]) === bits(got[name])) continue;
    // Models that draw random numbers differ from themselves.
    const again = await run(first, inputs);
    const random = bits(wanted[name]) !== bits(again[name]);
    const alike =
      wanted[name].type === got[name].type && JSON.stringify(wanted[name].dims) === JSON.stringify(got[name].dims);
    if (!random || !alike) return { outcome: "different", reason: `output ${name}` };
  }
  await first.release();
  await second.release();
  return { outcome: "same" };
}

process.on("message", (job) => {
  compare(job).then(
    (result) => process.send(result),
    (error) => process.send({ outcome: "different", reason: error.message }),
  );
});
