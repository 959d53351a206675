// Trainings started by plain variables, by `--processes`, by mpirun and by torchrun: the losses of one process.
import { spawnSync } from "node:child_process";
import { allEnded, freePort, startGroup, startMember } from "../../test/groups.js";
import { check, fresh, patchRecipe, sameAsWhole, skip, train, within } from "./suite.js";

export async function launchers(): Promise<void> {
  for (const size of [2, 4]) {
    const byVariables = fresh("variables");
    sameAsWhole(
      `${size} ranks by environment variables`,
      byVariables,
      await allEnded(startGroup(train(patchRecipe, "-o", byVariables, ...within), size, await freePort())),
    );
    const local = fresh("local");
    const words = train(patchRecipe, "-o", local, "--processes", String(size), ...within);
    sameAsWhole(`--processes ${size}`, local, await allEnded([startMember(0, words, {})]));
  }
}

export async function mpirun(): Promise<void> {
  if (spawnSync("mpirun", ["--version"]).status !== 0)
    return void skip("there is no mpirun: apt-get install openmpi-bin");
  const run = fresh("mpi");
  const port = await freePort();
  const place = ["-x", "MASTER_ADDR=127.0.0.1", "-x", `MASTER_PORT=${port}`, "-x", "OMP_NUM_THREADS=1"];
  const mpi = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-n", "2", ...place];
  const ended = await allEnded([startMember(0, [...mpi, ...train(patchRecipe, "-o", run, ...within)], {})]);
  sameAsWhole("2 ranks by mpirun", run, ended);
  const said = ended[0]!.said.match(/run folder/g)?.length ?? 0;
  check("only rank 0 says what came out", said === 1, `${said} times`);
}

export async function torchrun(): Promise<void> {
  const python = ["/usr/bin/python3", "python3"].find(
    (name) => spawnSync(name, ["-c", "import torch.distributed.run"]).status === 0,
  );
  if (python === undefined) return void skip("there is no Python with torch: apt-get install python3-torch");
  const run = fresh("torchrun");
  // The agent of torch 1.13 takes no 0 for these under Python 3.11.
  const outputs = ["--redirects", "2", "--tee", "1", "--log_dir", fresh("torchrun-logs")];
  const words = [python, "-m", "torch.distributed.run", "--no_python", ...outputs, "--nproc_per_node", "2"];
  const place = ["--master_addr", "127.0.0.1", "--master_port", String(await freePort())];
  const ended = await allEnded([startMember(0, [...words, ...place, ...train(patchRecipe, "-o", run, ...within)], {})]);
  sameAsWhole("2 ranks by torchrun", run, ended);
}
