// The web page on the loopback address: files of one folder and the runtime's own, with the headers that WebAssembly's
// threads need. Nothing outside of them can be asked for.
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join, sep } from "node:path";
import { FilterBasisError } from "../errors/error.js";

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webp": "image/webp",
  ".onnx": "application/octet-stream",
};

/** Isolated from other origins, for threads; and no address but its own can be reached. */
const headers: Readonly<Record<string, string>> = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "cache-control": "no-cache",
  "content-security-policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; img-src 'self' data: blob:; " +
    "style-src 'self' 'unsafe-inline'; connect-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};

/** The folder of the runtime's files where they do not lie in the page's own: a package does not hold them twice. */
const runtimeFolder = (): string => dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));

/**
 * @param folder the built page
 * @param port 0 for any that is free
 * @throws FilterBasisError `not-found` where the page is not built, `busy` for a port that is taken, `io`
 */
export async function servePage(
  folder: string,
  port: number,
): Promise<{ readonly server: Server; readonly url: string }> {
  const isFile = (path: string) =>
    stat(path).then(
      (found) => found.isFile(),
      () => false,
    );
  if (!(await isFile(join(folder, "index.html"))))
    throw new FilterBasisError("not-found", "the page is not built", { file: folder, cures: ["npm run build:web"] });
  const server = createServer((request, response) => void answer(folder, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(portError(cause, port)));
    server.listen(port, "127.0.0.1", resolve);
  });
  const bound = server.address();
  return { server, url: `http://127.0.0.1:${typeof bound === "object" && bound ? bound.port : port}/` };
}

function portError(cause: NodeJS.ErrnoException, port: number): FilterBasisError {
  const taken = cause.code === "EADDRINUSE";
  return new FilterBasisError(taken ? "busy" : "io", taken ? "the port is taken" : "cannot listen on the port", {
    field: "port",
    got: `${port}${taken ? "" : `: ${cause.code ?? cause.message}`}`,
    cures: ["another one: --port N", "any that is free: --port 0"],
    cause,
  });
}

async function answer(folder: string, { method, url = "/" }: IncomingMessage, response: ServerResponse): Promise<void> {
  const end = (status: number): void => void response.writeHead(status, headers).end();
  if (method !== "GET" && method !== "HEAD") return end(405);
  const found = await fileOf(folder, url);
  if (found === undefined) return end(404);
  const type = types[extname(found.path)] ?? "application/octet-stream";
  response.writeHead(200, { ...headers, "content-type": type, "content-length": String(found.size) });
  if (method === "HEAD") response.end();
  else
    createReadStream(found.path)
      .on("error", () => response.destroy())
      .pipe(response);
}

/** A file below the folder, links followed; undefined for everything else. */
async function fileOf(folder: string, url: string) {
  let path: string;
  try {
    path = decodeURIComponent(url.split(/[?#]/)[0]!);
  } catch {
    return undefined;
  }
  if (path.includes("\0")) return undefined;
  const name = path.endsWith("/") ? `${path}index.html` : path;
  const runtime = /^\/ort\/(ort-wasm[\w.-]+)$/.exec(name)?.[1];
  return (await below(folder, name)) ?? (runtime === undefined ? undefined : await below(runtimeFolder(), runtime));
}

async function below(folder: string, name: string) {
  try {
    const [root, real] = [await realpath(folder), await realpath(join(folder, name))];
    const found = await stat(real);
    return real.startsWith(root + sep) && found.isFile() ? { path: real, size: found.size } : undefined;
  } catch {
    return undefined;
  }
}
