// Archives for tests: tar and zip, made in memory.
import { crc32, deflateRawSync } from "node:zlib";

type Files = readonly (readonly [name: string, bytes: Uint8Array])[];

/** A ustar archive of regular files. */
export function tar(files: Files): Buffer {
  return Buffer.concat([...files.map(([name, bytes]) => tarEntry(name, bytes)), Buffer.alloc(1024)]);
}

/**
 * One entry: a header that claims `size`, the bytes, and what fills the last block. `kind`: 0 a file, 2 a link, x
 * extended headers.
 */
export function tarEntry(name: string, bytes: Uint8Array, { kind = "0", size = bytes.length } = {}): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write("0000644\0", 100);
  header.write(size.toString(8).padStart(11, "0") + "\0", 124);
  header.write("        ", 148);
  header.write(kind, 156);
  if (kind === "2") header.write("/etc/passwd", 157);
  header.write("ustar\0", 257);
  header.write("00", 263);
  header.write(
    header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0") + "\0 ",
    148,
  );
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** A zip archive; every second file stored, the others deflated. */
export function zip(files: Files): Buffer {
  const locals: Buffer[] = [];
  const entries: Buffer[] = [];
  let offset = 0;
  for (const [i, [name, bytes]] of files.entries()) {
    const deflated = i % 2 === 0;
    const packed = deflated ? deflateRawSync(bytes) : Buffer.from(bytes);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(deflated ? 8 : 0, 4);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(bytes.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    entries.push(Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([20, 0]), common, rest, Buffer.from(name)]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", 0, "latin1");
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}
