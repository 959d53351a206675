// A message being written, as a list of byte runs: large tensors are never copied on their way into the file.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FilterBasisError } from "../../errors/error.js";

/** Protobuf's limit on one message, which ONNX Runtime keeps too: larger models have their tensors in another file. */
export const largestModel = 2 ** 31 - 1;

/** Runs longer than this are handed on as they are; shorter ones are joined. */
const largeRun = 1 << 16;

export class Message {
  readonly chunks: Uint8Array[] = [];
  length = 0;

  /** Fields that are encoded already. */
  add(...encoded: readonly Uint8Array[]): this {
    for (const bytes of encoded) {
      if (bytes.length === 0) continue;
      this.chunks.push(bytes);
      this.length += bytes.length;
    }
    return this;
  }

  /** A length-delimited field: a message, text or bytes. */
  field(no: number, payload: Message | Uint8Array): this {
    if (payload.length > largestModel) throw tooLarge(payload.length);
    this.add(new BinaryWriter().tag(no, WireType.LengthDelimited).uint32(payload.length).finish());
    return payload instanceof Message ? this.add(...payload.runs()) : this.add(payload);
  }

  /** The bytes in order, small runs joined. */
  runs(): Uint8Array[] {
    const runs: Uint8Array[] = [];
    let small: Uint8Array[] = [];
    let size = 0;
    const flush = (): void => {
      if (size > 0) runs.push(small.length === 1 ? (small[0] as Uint8Array) : concat(small, size));
      small = [];
      size = 0;
    };
    for (const chunk of this.chunks) {
      if (chunk.length >= largeRun) {
        flush();
        runs.push(chunk);
        continue;
      }
      small.push(chunk);
      size += chunk.length;
      if (size >= largeRun) flush();
    }
    flush();
    return runs;
  }
}

/** The error for a model beyond protobuf's limit. */
export function tooLarge(length: number): FilterBasisError {
  return new FilterBasisError("too-large", "an ONNX file cannot pass 2 GB", {
    got: `${length} bytes`,
    cures: ["save it by its path: the weights then lie in a file beside it"],
  });
}

/** All runs in one array of the given length. */
export function concat(runs: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const run of runs) {
    all.set(run, at);
    at += run.length;
  }
  return all;
}
