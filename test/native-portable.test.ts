// What the addon includes: standard C++, Node-API, libtorch and POSIX; what only one C library has stands behind a
// guard.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const folder = fileURLToPath(new URL("../native/", import.meta.url));
const files = readdirSync(folder).filter((name) => /\.(cpp|h)$/.test(name));

/** POSIX.1-2008, and dlfcn.h, which is of it too. */
const posix = ["arpa/inet.h", "dlfcn.h", "fcntl.h", "netdb.h", "netinet/in.h", "pthread.h", "sys/socket.h", "unistd.h"];
const portable = (header: string): boolean =>
  /^[a-z_]+$/.test(header) || // of C++
  /^(ATen|c10|torch|gloo)\//.test(header) ||
  ["node_api.h", ...posix].includes(header);
/** Functions and constants of glibc, of Linux alone. */
const notPortable =
  /\b(mallopt|malloc_trim|mallinfo2?|M_[A-Z]+_THRESHOLD|secure_getenv|gettid|prctl|accept4|pipe2|dlmopen|dlvsym|execinfo|backtrace_symbols|sched_setaffinity|pthread_setaffinity_np|get_nprocs|program_invocation_name|canonicalize_file_name|asprintf|strerrorname_np)\b/;
const guard = /\b__(GLIBC|linux)__\b/;

/** Lines that are compiled where neither glibc nor Linux is. */
function unguarded(text: string): readonly string[] {
  const conditions: string[] = [];
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    const [, directive, rest = ""] = /^\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b(.*)/.exec(line) ?? [];
    if (directive?.startsWith("if")) conditions.push(rest);
    else if (directive === "elif") conditions[conditions.length - 1] = rest;
    else if (directive === "else") conditions[conditions.length - 1] = "";
    else if (directive === "endif") conditions.pop();
    else if (!conditions.some((condition) => guard.test(condition))) lines.push(line.replace(/\/\/.*/, ""));
  }
  return lines;
}

test.each(files)("%s includes and calls only what other systems have, or behind a guard", (name) => {
  const text = readFileSync(folder + name, "utf8");
  const lines = unguarded(text);
  const headers = lines.flatMap((line) => /^\s*#\s*include\s*<([^>]+)>/.exec(line)?.[1] ?? []);
  expect(headers.filter((header) => !portable(header))).toEqual([]);
  expect(lines.filter((line) => notPortable.test(line))).toEqual([]);
  // glibc says that it is there in its headers: one of them has to come first.
  const first = text.search(/__GLIBC__/);
  if (first >= 0) expect(text.slice(0, first)).toMatch(/^#\s*include\s*</m);
});

test("a header of glibc without a guard is found", () => {
  const text = "#include <string>\n#ifdef __GLIBC__\n#include <malloc.h>\n#else\n#include <execinfo.h>\n#endif\n";
  expect(unguarded(text).filter((line) => line !== "")).toEqual(["#include <string>", "#include <execinfo.h>"]);
});
