// Both ranks of a group live in this process: what one would wait for, the other does meanwhile.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FilterBasisError } from "../errors/error.js";
import { GradientBuckets } from "./gradient-buckets.js";
import { type Group, type GroupOptions, groupBackends, joinGroup } from "./group.js";
import { backward, call, fromArray, type Tensor, unloadableReason } from "./index.js";

const reason = unloadableReason() ?? (groupBackends().includes("gloo") ? undefined : "libtorch has no Gloo");

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "filterbasis-group-test-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const listening = (): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => resolve(server));
  });
const portOf = (server: Server): number => (server.address() as { port: number }).port;

async function tcp(): Promise<GroupOptions["meeting"]> {
  const server = await listening();
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return { kind: "tcp", host: "127.0.0.1", port, own: true, attempt: "0" };
}
let files = 0;
const file = async (): Promise<GroupOptions["meeting"]> => ({ kind: "file", path: join(root, `meeting${files++}`) });

const joined = (size: number, meeting: GroupOptions["meeting"], timeout = 5000): Promise<Group[]> =>
  Promise.all(Array.from({ length: size }, (_, rank) => joinGroup({ rank, size, meeting, timeout })));
/**
 * The same at a port, for calls that are to end soon: with so little time one that comes before rank 0 listens gives up
 * at once, and comes again.
 */
async function joinedSoon(size: number, timeout: number): Promise<Group[]> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await joined(size, await tcp(), timeout);
    } catch (error) {
      if (attempt === 4 || !/was not found at/.test(String(error))) throw error;
    }
  }
}
const left = (groups: readonly Group[]) => Promise.all(groups.map((group) => group.leave()));
const settled = async (promises: readonly Promise<unknown>[]) =>
  (await Promise.allSettled(promises)).map((one) =>
    one.status === "rejected" ? (one.reason as FilterBasisError) : one.value,
  );

describe.skipIf(reason !== undefined)(
  `a group of processes${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    it.each([
      ["a port", tcp],
      ["a file", file],
    ])("that meets through %s sums, broadcasts and waits", async (_, meeting) => {
      const groups = await joined(3, await meeting());
      const tensors = groups.map(({ rank }) => [
        fromArray(Float32Array.of(rank, 1), [2]),
        fromArray(Float64Array.of(10 * rank, 0.5, 2, 3), [2, 2]),
        fromArray(Float32Array.of(rank + 0.25), [1]),
      ]);
      await Promise.all(groups.map((group, rank) => group.allReduce(tensors[rank]!)));
      for (const [a, b, c] of tensors as [Tensor, Tensor, Tensor][]) {
        expect([...a.floats(), ...c.floats()]).toEqual([3, 3, 3.75]);
        expect([...(b.data() as Float64Array)]).toEqual([30, 1.5, 6, 9]);
      }
      const own = groups.map(({ rank }) => fromArray(BigInt64Array.of(BigInt(rank)), [1]));
      await Promise.all(groups.map((group, rank) => group.broadcast([own[rank]!], 2)));
      expect(own.map((tensor) => tensor.item())).toEqual([2, 2, 2]);

      const order: string[] = [];
      const late = async (group: Group): Promise<void> => {
        await new Promise((resolve) => setTimeout(resolve, 60 * group.rank));
        order.push(`comes ${group.rank}`);
        await group.barrier();
        order.push("goes on");
      };
      await Promise.all(groups.map(late));
      expect(order.slice(0, 3)).toEqual(["comes 0", "comes 1", "comes 2"]);
      await left(groups);
    });

    it("has the mean of gradients after the backward pass, in buckets of any size, with and without overlap", async () => {
      const groups = await joined(2, await file());
      for (const options of [{}, { firstBytes: 1, bytes: 1 }, { firstBytes: 8, bytes: 12, overlap: false }]) {
        const own = groups.map(({ rank }) => {
          const parameters = [[2], [3], [1], [2]].map((shape, i) => {
            const parameter = fromArray(
              Float32Array.from({ length: shape[0]! }, (_, k) => i + k + rank),
              shape,
            );
            parameter.requiresGrad = true;
            return parameter;
          });
          return { parameters, buckets: new GradientBuckets(groups[rank]!, parameters, options) };
        });
        for (let round = 0; round < 2; round++) {
          const means = own.map(({ parameters, buckets }, rank) => {
            buckets.begin();
            // d/dp of sum p^2 / 2; the last parameter takes no part.
            const squares = parameters.slice(0, 3).map((p) => call("sum", call("mul.Tensor", p, p)));
            const [a, b, c] = squares as [Tensor, Tensor, Tensor];
            backward(call("mul.Scalar", call("add.Tensor", call("add.Tensor", a, b), c), 0.5));
            return buckets.finish([rank + 1, 5]);
          });
          for (const sums of await Promise.all(means)) expect(sums.slice(0, 2)).toEqual([3, 10]);
          for (const { parameters } of own) {
            expect(parameters.map(({ grad }) => grad && [...grad.floats()])).toEqual([
              [0.5, 1.5],
              [1.5, 2.5, 3.5],
              [2.5],
              null,
            ]);
            for (const parameter of parameters) parameter.grad = null;
          }
        }
        const sizes = own[0]!.buckets.sizes;
        expect(sizes.length).toBe(options.bytes === 1 ? 4 : options.bytes === 12 ? 3 : 1);
        expect(sizes.reduce((sum, bytes) => sum + bytes, 0)).toBe(4 * (8 + 8)); // eight elements and eight numbers
        for (const { buckets } of own) buckets[Symbol.dispose]();
      }
      await left(groups);
    });

    it("does not come about where they disagree on how many they are", async () => {
      const meeting = await tcp();
      const errors = await settled([2, 3].map((size, rank) => joinGroup({ rank, size, meeting, timeout: 3000 })));
      for (const error of errors) expect(error).toMatchObject({ code: "group", place: { field: "WORLD_SIZE" } });
    });

    it("does not come about where a rank is missing or is there twice; who is missing is named", async () => {
      const [lonely] = await settled([joinGroup({ rank: 0, size: 3, meeting: await tcp(), timeout: 800 })]);
      expect(lonely).toMatchObject({ code: "group", facts: { rank: 1 } });
      expect((lonely as Error).message).toMatch(/rank 1, 2 did not come/);
      const meeting = await file();
      const twice = await settled([1, 1].map((rank) => joinGroup({ rank, size: 2, meeting, timeout: 800 })));
      expect(twice.some((error) => /another process is rank 1 already/.test((error as Error).message))).toBe(true);
    });

    it("tells a port that is taken, and that nobody serves one, within the timeout", async () => {
      const server = await listening();
      const taken = { ...(await tcp()), port: portOf(server) } as GroupOptions["meeting"];
      const [zero, one] = await settled(
        [0, 1].map((rank) => joinGroup({ rank, size: 2, meeting: taken, timeout: 1500 })),
      );
      expect(zero).toMatchObject({ code: "group", place: { field: "MASTER_PORT" } });
      expect(one).toMatchObject({ code: "group", place: { field: "MASTER_ADDR" } });
      server.close();
    });

    it("tells all why one of them failed, and refuses further calls", async () => {
      const groups = await joinedSoon(3, 3000);
      const tensor = fromArray(Float32Array.of(1), [1]);
      const waiting = groups.slice(0, 2).map((group) => group.allReduce([tensor]));
      const fault = new FilterBasisError("non-finite", "the loss is NaN");
      const [first, second] = (await settled([...waiting, groups[2]!.fail(fault)])) as FilterBasisError[];
      for (const error of [first!, second!]) {
        expect(error).toMatchObject({ code: "group", facts: { rank: 2 } });
        expect(error.message).toContain("rank 2 failed: non-finite: the loss is NaN");
      }
      await expect(groups[0]!.allReduce([tensor])).rejects.toBe(first);
      await expect(groups[2]!.barrier()).rejects.toBe(fault);
      await left(groups);
    });

    it("names who has not come to a call within the timeout, though it lives", async () => {
      const groups = await joinedSoon(2, 1500);
      const start = performance.now();
      const [error] = (await settled([
        groups[0]!.allReduce([fromArray(Float32Array.of(1), [1])]),
      ])) as FilterBasisError[];
      expect(performance.now() - start).toBeLessThan(3000);
      expect(error).toMatchObject({ code: "group", facts: { rank: 1 } });
      expect(error!.message).toMatch(/rank 1 has not come to the sum of tensors within 1.5 s, though alive/);
      await left(groups);
    });
  },
);
