import { describe, expect, it } from "vitest";
import { FilterBasisError } from "../errors/error.js";
import { readLaunch } from "./launcher.js";

const torchrun = { RANK: "1", WORLD_SIZE: "4", LOCAL_RANK: "1", MASTER_ADDR: "node1", MASTER_PORT: "29400" };
const tcp = { kind: "tcp", own: true, attempt: "0" };

describe("what a launcher says", () => {
  it("is nothing where no launcher, or one process, is", () => {
    expect(readLaunch({})).toBeUndefined();
    expect(readLaunch({ RANK: "", WORLD_SIZE: "" })).toBeUndefined();
    expect(readLaunch({ ...torchrun, RANK: "0", WORLD_SIZE: "1" })).toBeUndefined();
    // The script of a batch job itself.
    expect(readLaunch({ SLURM_PROCID: "0", SLURM_NTASKS: "4", SLURM_JOB_NODELIST: "a" })).toBeUndefined();
  });

  it("is read as torchrun, plain variables and Kubernetes set it", () => {
    expect(readLaunch(torchrun)).toEqual({
      ...{ rank: 1, size: 4, localRank: 1, launcher: "torchrun" },
      meeting: { ...tcp, host: "node1", port: 29400 },
    });
    const { LOCAL_RANK, MASTER_PORT, ...least } = torchrun;
    expect(readLaunch(least)).toMatchObject({ localRank: 0, meeting: { port: 29500 } });
    const agent = { ...torchrun, TORCHELASTIC_USE_AGENT_STORE: "True", TORCHELASTIC_RESTART_COUNT: "2" };
    expect(readLaunch(agent)?.meeting).toEqual({ kind: "tcp", host: "node1", port: 29400, own: false, attempt: "2" });
    expect(readLaunch({ ...torchrun, FILTERBASIS_MEETING: "/tmp/x" })?.meeting).toEqual({
      kind: "file",
      path: "/tmp/x",
    });
  });

  it.each([
    ["node[003-005,9],login", "node003"],
    ["gpu7", "gpu7"],
    ["a,b", "a"],
    ["rack1-n[12]", "rack1-n12"],
    ["n[1,3]-ib", "n1-ib"],
  ])("is read as srun sets it: the first host of %s", (list, host) => {
    const srun = {
      SLURM_PROCID: "2",
      SLURM_NTASKS: "3",
      SLURM_LOCALID: "0",
      SLURM_STEP_ID: "0",
      SLURM_JOB_ID: "123456",
    };
    expect(readLaunch({ ...srun, SLURM_JOB_NODELIST: list })).toEqual({
      ...{ rank: 2, size: 3, localRank: 0, launcher: "SLURM" },
      meeting: { ...tcp, host, port: 15000 + 3456 },
    });
    expect(readLaunch({ ...srun, SLURM_JOB_NODELIST: list, MASTER_ADDR: "h" })?.meeting).toMatchObject({ host: "h" });
  });

  it("is read as Open MPI sets it", () => {
    const mpi = { OMPI_COMM_WORLD_RANK: "0", OMPI_COMM_WORLD_SIZE: "2", OMPI_COMM_WORLD_LOCAL_RANK: "0" };
    expect(readLaunch({ ...mpi, MASTER_ADDR: "h" })).toMatchObject({ rank: 0, size: 2, launcher: "Open MPI" });
    expect(() => readLaunch(mpi)).toThrow(/MASTER_ADDR is not set/);
  });

  it.each([
    ["RANK without WORLD_SIZE", { RANK: "0" }, "WORLD_SIZE"],
    ["WORLD_SIZE without RANK", { WORLD_SIZE: "2" }, "RANK"],
    ["half of Open MPI's", { OMPI_COMM_WORLD_SIZE: "2" }, "OMPI_COMM_WORLD_RANK"],
    ["a rank beyond the size", { ...torchrun, RANK: "4" }, "RANK"],
    ["a rank that is no number", { ...torchrun, RANK: "one" }, "RANK"],
    ["a negative rank", { ...torchrun, RANK: "-1" }, "RANK"],
    ["no processes", { ...torchrun, WORLD_SIZE: "0" }, "WORLD_SIZE"],
    ["a port beyond 65535", { ...torchrun, MASTER_PORT: "70000" }, "MASTER_PORT"],
    ["no address", { RANK: "0", WORLD_SIZE: "2" }, "MASTER_ADDR"],
  ])("is an error where it is %s", (_, environment: Record<string, string>, field) => {
    const error = (() => {
      try {
        return readLaunch(environment);
      } catch (caught) {
        return caught;
      }
    })();
    expect(error).toBeInstanceOf(FilterBasisError);
    expect(error).toMatchObject({ code: "usage", place: { field } });
  });
});
