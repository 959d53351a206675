// What `evaluate` says of a file on the truths of its task, for the tables of the benchmarks: PSNR on luma of Set5, or
// the top-1 error on the test images of CIFAR-10.
import { runCommand } from "../scripts/wild/command.js";

/** Where truths lie, and the options of `evaluate` by which they become inputs. */
export interface Truths {
  readonly name: string;
  readonly data: string;
  readonly options: readonly string[];
}

/** dB, or %; NaN where `evaluate` fails. */
export async function qualityOf(file: string, { data, options }: Truths): Promise<number> {
  const asked = ["evaluate", file, "--data", data, ...options, "--no-latency"];
  const { stdout, exit } = await runCommand(asked, { timeoutSeconds: 1800 });
  if (exit !== 0) return Number.NaN;
  const { psnr, top1Error } = JSON.parse(stdout) as { readonly psnr?: number; readonly top1Error?: number };
  return psnr ?? top1Error ?? Number.NaN;
}
