// How large a model is on the disk.
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readModel } from "../formats/onnx/index.js";
import { externalReader } from "./external.js";

/** Bytes of a model on the disk: its file, and the files beside it that its tensors lie in. */
export async function modelBytes(path: string): Promise<number> {
  const locations = new Set<string>();
  const reader = externalReader(path);
  try {
    const bytes = await readFile(path);
    readModel(bytes, {
      file: path,
      external: (location, offset, length) => {
        locations.add(location);
        return reader.read(location, offset, length);
      },
    });
    const beside = await Promise.all([...locations].map((location) => stat(join(dirname(path), location))));
    return beside.reduce((sum, { size }) => sum + size, bytes.length);
  } finally {
    reader.close();
  }
}
