// Names in files that are not UTF-8 (some exporters wrote their system's encoding): ONNX Runtime takes names as bytes.
// Here each such name is read as Latin-1, where every byte is a character, so that two names stay two.
import type { DescMessage } from "@bufbuild/protobuf";
import { isText, rulesOf } from "./check.js";
import { concat, Message } from "./chunks.js";
import { Cursor, wire } from "./wire.js";

const encoder = new TextEncoder();
/** As browsers have it: Windows-1252, in which every byte is a character of its own too. */
const latin1 = new TextDecoder("latin1");

/**
 * The message with every text that is not UTF-8 replaced by its Latin-1 reading. The bytes have passed `checkBytes`.
 */
export function withLatin1Text(schema: DescMessage, bytes: Uint8Array): Uint8Array {
  const { chunks, length } = rewritten(schema, bytes);
  return concat(chunks, length);
}

function rewritten(schema: DescMessage, bytes: Uint8Array): Message {
  const rules = rulesOf(schema);
  const message = new Message();
  for (const cursor = new Cursor(bytes); cursor.next(); ) {
    const rule = rules.get(cursor.no);
    const field = cursor.view();
    if (rule?.message !== undefined && cursor.type === wire.bytes)
      message.field(cursor.no, rewritten(rule.message, field));
    else if (rule?.text && !isText(field, 0, field.length))
      message.field(cursor.no, encoder.encode(latin1.decode(field)));
    else message.add(cursor.whole());
  }
  return message;
}
