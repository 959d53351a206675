// What a launcher says in the environment: which of how many processes this is, and where they meet. torchrun and
// Kubernetes' PyTorchJob set RANK and the like, srun and mpirun variables of their own.
import { FilterBasisError } from "../errors/error.js";

export interface TcpMeeting {
  readonly kind: "tcp";
  readonly host: string;
  readonly port: number;
  /** True where a process of the group has to serve the store; torchrun's agent may do it instead. */
  readonly own: boolean;
  /** Tells one start from the next where the store outlives both. */
  readonly attempt: string;
}

/** Where the processes of a group meet: a port of the first one's machine, or a file that all see. */
export type Meeting = TcpMeeting | { readonly kind: "file"; readonly path: string };

export interface Launch {
  readonly rank: number;
  readonly size: number;
  /** Of the processes on this machine: which GPU is this one's. */
  readonly localRank: number;
  readonly meeting: Meeting;
  /** Who set the variables, for messages. */
  readonly launcher: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

interface Family {
  readonly launcher: string;
  readonly rank: string;
  readonly size: string;
  readonly localRank: string;
}

const families: readonly Family[] = [
  { launcher: "torchrun", rank: "RANK", size: "WORLD_SIZE", localRank: "LOCAL_RANK" },
  {
    launcher: "Open MPI",
    rank: "OMPI_COMM_WORLD_RANK",
    size: "OMPI_COMM_WORLD_SIZE",
    localRank: "OMPI_COMM_WORLD_LOCAL_RANK",
  },
  { launcher: "SLURM", rank: "SLURM_PROCID", size: "SLURM_NTASKS", localRank: "SLURM_LOCALID" },
];

/** As torch.distributed has it. */
const usualPort = 29500;
/** A file in place of an address; `--processes` sets it. */
export const meetingFile = "FILTERBASIS_MEETING";

/**
 * What the environment says of a group; undefined where this process was started alone (or as the only one).
 * @throws FilterBasisError `usage` for variables that are set by halves or contradict each other
 */
export function readLaunch(environment: Environment): Launch | undefined {
  const family = familyOf(environment);
  if (family === undefined) return undefined;
  const { launcher } = family;
  const size = whole(environment, family.size, 1);
  const rank = whole(environment, family.rank, 0);
  if (rank >= size)
    throw wrong(family.rank, `from 0 to ${size - 1}, as ${family.size} is ${size}`, environment[family.rank]);
  if (size === 1) return undefined;
  const localRank = set(environment, family.localRank) ? whole(environment, family.localRank, 0) : 0;
  return { rank, size, localRank, meeting: meetingOf(environment, family), launcher };
}

const set = (environment: Environment, name: string): boolean => (environment[name] ?? "") !== "";

/** The first family that is there; inside a batch job without srun SLURM's size alone says nothing of processes. */
function familyOf(environment: Environment): Family | undefined {
  for (const family of families) {
    const [rank, size] = [set(environment, family.rank), set(environment, family.size)];
    if (rank && size) return family.launcher === "SLURM" && alone(environment) ? undefined : family;
    if (family.launcher === "SLURM" || rank === size) continue;
    const [there, missing] = rank ? [family.rank, family.size] : [family.size, family.rank];
    throw new FilterBasisError("usage", `${there} is set and ${missing} is not`, {
      field: missing,
      cures: [`set both as ${family.launcher} does, or neither`],
    });
  }
  return undefined;
}

/** The script of a batch job itself, and an interactive shell in it: SLURM calls its one process step `batch`. */
const alone = (environment: Environment): boolean =>
  environment.SLURM_STEP_ID === undefined && environment.SLURM_STEPID === undefined;

function meetingOf(environment: Environment, { launcher }: Family): Meeting {
  const file = environment[meetingFile];
  if (file) return { kind: "file", path: file };
  const host = environment.MASTER_ADDR || (launcher === "SLURM" ? slurmHost(environment) : undefined);
  if (host === undefined) {
    throw new FilterBasisError("usage", `${launcher} started several processes, and MASTER_ADDR is not set`, {
      field: "MASTER_ADDR",
      cures: [
        "name the machine of the first process: MASTER_ADDR=HOST, and a free port of it: MASTER_PORT=29500",
        ...(launcher === "Open MPI" ? ["mpirun -x MASTER_ADDR=HOST -x MASTER_PORT=29500 filterbasis train ..."] : []),
      ],
    });
  }
  const port = set(environment, "MASTER_PORT") ? whole(environment, "MASTER_PORT", 1, 65535) : portOf(environment);
  const own = environment.TORCHELASTIC_USE_AGENT_STORE !== "True";
  return { kind: "tcp", host, port, own, attempt: environment.TORCHELASTIC_RESTART_COUNT ?? "0" };
}

/** Jobs of one machine take different ports, as PyTorch Lightning has it: from the last digits of the job's number. */
function portOf({ SLURM_JOB_ID: job = "" }: Environment): number {
  return /^\d+$/.test(job) ? 15000 + (Number(job) % 10000) : usualPort;
}

/** The first host of a list such as `node[003-005,9],login` or `a,b`. @throws FilterBasisError `usage` */
function slurmHost(environment: Environment): string {
  const list = environment.SLURM_JOB_NODELIST ?? environment.SLURM_NODELIST ?? environment.SLURM_STEP_NODELIST ?? "";
  const [, before = "", ranges, after = ""] = /^([^,[\]]+)(?:\[([\d,-]+)\]([^,[\]]*))?(?:,|$)/.exec(list) ?? [];
  if (before === "") throw wrong("SLURM_JOB_NODELIST", "a list of hosts, such as node[001-004]", list);
  return ranges === undefined ? before : `${before}${/^\d+/.exec(ranges)?.[0] ?? ""}${after}`;
}

function whole(environment: Environment, name: string, least: number, most = 65535): number {
  const text = environment[name] ?? "";
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw wrong(name, `a whole number from ${least} to ${most}`, environment[name]);
}

const wrong = (field: string, expected: string, got: string | undefined): FilterBasisError =>
  new FilterBasisError("usage", "a variable of the environment is wrong", {
    field,
    expected,
    got: JSON.stringify(got),
  });
