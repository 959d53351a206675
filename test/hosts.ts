// Two hosts on one machine: network namespaces with addresses of their own and a cable (veth) between them.
import { spawnSync } from "node:child_process";

export interface Hosts {
  /** Words before a command that is to run on host 0 or 1. */
  inside(host: number): readonly string[];
  /** The address of host 0. */
  readonly address: string;
  /** Pulls the cable out of host 1, or puts it back. */
  link(state: "up" | "down"): void;
  close(): void;
}

const ip = (...words: readonly string[]): string | undefined => {
  const { status, stderr, error } = spawnSync("ip", words, { encoding: "utf8" });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
};

/** Makes the hosts, or says why they cannot be made. */
export function openHosts(): Hosts | { readonly reason: string } {
  const name = (host: number): string => `filterbasis${process.pid}-${host}`;
  const cable = (host: number): string => `fb${process.pid % 100_000}-${host}`;
  const close = (): void => {
    for (const host of [0, 1]) ip("netns", "del", name(host));
  };
  const steps: readonly (readonly string[])[] = [
    ...[0, 1].map((host) => ["netns", "add", name(host)]),
    ["link", "add", cable(0), "type", "veth", "peer", "name", cable(1)],
    ...[0, 1].flatMap((host) => [
      ["link", "set", cable(host), "netns", name(host)],
      ["-n", name(host), "addr", "add", `10.213.7.${host + 1}/24`, "dev", cable(host)],
      ["-n", name(host), "link", "set", cable(host), "up"],
      ["-n", name(host), "link", "set", "lo", "up"],
    ]),
  ];
  for (const words of steps) {
    const failure = ip(...words);
    if (failure === undefined) continue;
    close();
    ip("link", "del", cable(0));
    return { reason: `network namespaces cannot be made here: ${failure}` };
  }
  return {
    inside: (host) => ["ip", "netns", "exec", name(host)],
    address: "10.213.7.1",
    link: (state) => void ip("-n", name(1), "link", "set", cable(1), state),
    close,
  };
}
