// Progress on stderr: a bar with the time left on a terminal, plain lines elsewhere.
import { Presets, SingleBar } from "cli-progress";
import { oneLine } from "./visible.js";

/** Where text for people goes; `process.stderr` in the program, a collector in tests. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

export interface Progress {
  /** `done` of the total is finished; `extra` is a short remark such as the present loss. */
  update(done: number, extra?: string): void;
  stop(): void;
}

export interface ProgressOptions {
  readonly stream: TextStream;
  /** Milliseconds; a clock handed in, for tests. */
  readonly now?: () => number;
}

/** A bar on a terminal, else lines. `total` is in whatever unit `update` counts. */
export function startProgress(label: string, total: number, { stream, now = Date.now }: ProgressOptions): Progress {
  const title = oneLine(label);
  const { update, stop } = stream.isTTY
    ? bar(title, total, stream as NodeJS.WriteStream)
    : lines(title, total, stream, now);
  return { update: (done, extra = "") => update(done, oneLine(extra)), stop };
}

function bar(label: string, total: number, stream: NodeJS.WriteStream): Progress {
  const single = new SingleBar(
    {
      format: `${label} {bar} {percentage}% {whole}/{total} {left} {extra}`,
      stream,
      // The work may block the event loop, so the bar draws itself inside update() instead of from a timer.
      synchronousUpdate: true,
      fps: 5,
      barsize: 24,
      hideCursor: false,
      gracefulExit: false, // Ctrl-C belongs to the frame
    },
    Presets.shades_classic,
  );
  const started = Date.now();
  let stopped = false;
  single.start(total, 0, { whole: 0, left: "", extra: "" });
  return {
    update(done, extra = "") {
      const left = timeLeft(Date.now() - started, done, total);
      single.update(done, { whole: Math.floor(done), left, extra });
    },
    stop() {
      if (!stopped) single.stop();
      stopped = true;
    },
  };
}

/** A line when a tenth more is done and 2 s have passed, or 30 s have passed, and one at the end. */
function lines(label: string, total: number, stream: TextStream, now: () => number): Progress {
  const started = now();
  let last = { time: started, done: 0 };
  let latest = { done: 0, extra: "" };
  let stopped = false;
  const print = () => {
    const { done, extra } = latest;
    const share = total > 0 ? ` ${Math.floor((100 * done) / total)}%` : "";
    const left = timeLeft(now() - started, done, total);
    stream.write([`${label}:${share} ${Math.floor(done)}/${total}`, left, extra].filter(Boolean).join("  ") + "\n");
    last = { time: now(), done };
  };
  return {
    update(done, extra = "") {
      latest = { done, extra };
      const waited = now() - last.time;
      if ((done - last.done >= total / 10 && waited >= 2000) || waited >= 30_000) print();
    },
    stop() {
      if (!stopped && latest.done !== last.done) print();
      stopped = true;
    },
  };
}

/** "3m 20s left" from the pace so far; empty until something is done and when all is done. */
export function timeLeft(elapsed: number, done: number, total: number): string {
  if (done <= 0 || done >= total) return "";
  return `${duration((elapsed * (total - done)) / done)} left`;
}

/** Milliseconds as people say them: "850 ms", "12 s", "3m 20s", "2h 05m". */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${String(seconds % 60).padStart(2, "0")}s`;
  return `${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, "0")}m`;
}
