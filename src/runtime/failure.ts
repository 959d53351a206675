// What ONNX Runtime says when it refuses a model or a run, as errors of ours: which operator, which node, what to do.
// Its own words go into the message without escape codes, source paths and signatures of its functions.
import { type ErrorCode, type ErrorDetails, type ErrorPlace, FilterBasisError } from "../errors/error.js";

/**
 * An error for a model that cannot be opened: `unsupported` where something is missing in the runtime, else `runtime`.
 */
export function openFailure(error: unknown, runtime: string, place: ErrorPlace): FilterBasisError {
  const text = runtimeText(error);
  const known = match(refusals, text);
  if (known === undefined)
    return failure("runtime", `ONNX Runtime (${runtime}) refuses the model: ${text}`, place, error);
  return failure(known.code ?? "unsupported", known.message, { ...place, ...known.details }, error);
}

/**
 * An error for a run that failed: `too-large` where memory was short, else `runtime`; names the node where there is
 * one.
 */
export function runFailure(error: unknown, runtime: string, place: ErrorPlace): FilterBasisError {
  const text = unwrapped(messageOf(error));
  const [, op, node, status] = inNode.exec(text) ?? [undefined, undefined, undefined, text];
  const where = { ...place, ...(node ? { node } : {}), ...(op ? { op } : {}) };
  const memory =
    /Failed to allocate memory for requested buffer of size (\d+)|std::bad_alloc|Tensor shape is too large/.exec(text);
  if (memory === null)
    return failure("runtime", `ONNX Runtime (${runtime}) cannot run this: ${cleaned(status!)}`, where, error);
  return failure("too-large", `the memory is too small to run this in ONNX Runtime (${runtime})`, {
    ...where,
    ...(memory[1] === undefined ? {} : { expected: `${memory[1]} bytes more` }),
    cures: ["state a smaller size of its input, as --input x=1x3x224x224"],
    cause: error,
  });
}

const inNode = /^Non-zero status code returned while running (\S+) node\. Name:'(.*?)' Status Message: (.*)$/s;

/** The runtime's message in one line of plain text. */
export function runtimeText(error: unknown): string {
  return cleaned(messageOf(error));
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const escapes = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*[A-Za-z]`, "g");

/** Without escape codes and what the wasm puts before its messages. */
const unwrapped = (text: string): string => text.replace(escapes, "").replace(/^.*?ERROR_MESSAGE: /s, "");

function cleaned(text: string): string {
  return unwrapped(text)
    .replace(/\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : /g, "")
    .replace(/^(Load|Initializing)[^:]*? from .*? failed:\s*/s, "")
    .replace(/(?:[A-Za-z]:)?(?:[\w.+-]*[\\/])*[\w.-]+\.(?:cc|cpp|h):\d+\s+/g, "") // where in its source
    .replace(/^[^()]*::[\w~<>:]+\s*\(.*?\)\s(?:const )?(?=[A-Z])/s, "") // the function that threw
    .replace(/\s+/g, " ")
    .trim();
}

interface SkippedLayer {
  readonly code?: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

/** The standard domain has the empty name in files. */
const domainName = (domain: string): string => (domain === "" ? "ai.onnx" : domain);

function noOperator(domain: string, op: string, node = ""): SkippedLayer {
  const foreign = !["", "ai.onnx", "ai.onnx.ml", "com.microsoft"].includes(domain);
  return {
    message: `ONNX Runtime has no operator ${op} of domain ${domainName(domain)}`,
    details: {
      op,
      ...(node === "" ? {} : { node }),
      cures: foreign
        ? [`export the model again with operators of ONNX alone: ${domain} needs an extension that is not here`]
        : ["check the operator's name and the model's opset, or install a newer ONNX Runtime"],
    },
  };
}

/** How refusals are told apart, by the runtime's words. */
const refusals: readonly (readonly [RegExp, (...parts: string[]) => SkippedLayer])[] = [
  [/Fatal error: ([^\s:]*):(\S+?)\(-?\d+\) is not a registered function\/op/, (domain, op) => noOperator(domain, op)],
  [
    /In Node, \("(.*?)", ([^,]+), "(.*?)", .*?No (?:Op registered for|opset import for)/,
    (node, op, domain) => noOperator(domain, op, node),
  ],
  [/No Op registered for (\S+) with domain_version of/, (op) => noOperator("", op)],
  [
    /Op registered for (\S+) is deprecated in domain_version of (\d+)/,
    (op, version) => ({
      message: `operator ${op} no longer exists in the model's opset`,
      details: { op, got: `opset ${version}`, cures: ["export the model again with an opset that has the operator"] },
    }),
  ],
  [
    /Could not find an implementation for ([^\s(]+)\((\d+)\) node with name '(.*?)'/,
    (op, version, node) => ({
      message: `ONNX Runtime has no implementation of ${op} (version ${version}) for these element types`,
      details: { op, ...(node === "" ? {} : { node }), cures: ["export the model in float32"] },
    }),
  ],
  [
    /Opset (\d+) is under development.*?official support for domain (\S+) is till opset (\d+)/,
    (opset, domain, most) => ({
      message: `the model's opset of domain ${domain} is newer than this ONNX Runtime knows`,
      details: {
        expected: `at most ${most}`,
        got: opset,
        cures: [`export the model with opset ${most}`, "install a newer ONNX Runtime"],
      },
    }),
  ],
  [
    /Unsupported model IR version: (\d+), max supported IR version: (\d+)/,
    (version, most) => ({
      message: "the model's IR version is newer than this ONNX Runtime knows",
      details: {
        expected: `at most ${most}`,
        got: version,
        cures: ["install a newer ONNX Runtime", "export the model with an older onnx package"],
      },
    }),
  ],
  [
    /Type Error: Type '(.*?)' of input parameter \((.*?)\) of operator \((\S+)\) in node \((.*?)\) is invalid/,
    (type, input, op, node) => ({
      code: "runtime",
      message: `ONNX Runtime does not take ${type} for the input ${input} of ${op}`,
      details: { op, ...(node === "" ? {} : { node }) },
    }),
  ],
  [
    /In Node, \("(.*?)", ([^,]+), ".*?", .*?, Error (.*)$/s,
    (node, op, words) => ({
      code: "runtime",
      message: `ONNX Runtime refuses the node: ${words}`,
      details: { op, ...(node === "" ? {} : { node }) },
    }),
  ],
  [
    /^Node \((.*?)\) Op \((\S+)\) \[\w+\] (.*)$/s,
    (node, op, words) => ({
      code: "runtime",
      message: `ONNX Runtime refuses the node: ${words}`,
      details: { op, ...(node === "" ? {} : { node }) },
    }),
  ],
];

function match(table: typeof refusals, text: string): SkippedLayer | undefined {
  for (const [pattern, refusal] of table) {
    const found = pattern.exec(text);
    if (found !== null) return refusal(...found.slice(1));
  }
  return undefined;
}

function failure(code: ErrorCode, message: string, details: ErrorDetails, cause?: unknown): FilterBasisError {
  return new FilterBasisError(code, message, { ...details, ...(cause === undefined ? {} : { cause }) });
}
