// How large a model is on the disk.
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isError } from "../errors/error.js";
import { readModel } from "../formats/onnx/index.js";
import { externalReader } from "./external.js";

/** Bytes of a model on the disk: its file, and the files beside it that its tensors lie in. Of a file that cannot be read as a model, its own. */
export async function modelBytes(path: string): Promise<number> {
  const locations = new Set<string>();
  const reader = externalReader(path);
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return 0;
  try {
    readModel(await readFile(path), {
      file: path,
      external: (location, offset, length) => {
        locations.add(location);
        return reader.read(location, offset, length);
      },
    });
  } catch (error) {
    if (!isError(error)) throw error;
    return found.size;
  } finally {
    reader.close();
  }
  const beside = await Promise.all([...locations].map((location) => stat(join(dirname(path), location))));
  return beside.reduce((sum, { size }) => sum + size, found.size);
}
