// `compress --data` and `plan --data` under a launcher: the first process does the job, the others sum their shares of
// what layers see and say nothing but how they failed.
import type { Wanted } from "../compress/choose-plan.js";
import { isAboutSpeed } from "../compress/why-not.js";
import { busyText } from "../runtime/machine.js";
import { readLaunch } from "../torch/launcher.js";
import { together } from "../train/join.js";
import { fromFirst, sharesOf, type World } from "../train/world.js";
import { helpOnData, type OnData } from "./compress-on-data.js";
import type { Context, Outcome } from "./frame.js";

/**
 * Runs a command on data, by itself or as one of a launcher's processes, each of which has a device of its own.
 * @throws FilterBasisError `group` where another process fails; what the command throws
 */
export async function calibrateTogether<Asked extends Omit<OnData, "output">>(
  asked: Asked,
  context: Context,
  run: (asked: Asked) => Promise<Outcome>,
): Promise<Outcome> {
  const launch = readLaunch(process.env);
  if (launch === undefined)
    return run(asked).catch((error: unknown) => {
      throw onBusyMachine(error, busyText());
    });
  const { device = "cpu" } = asked.args;
  const networkInterface = process.env.GLOO_SOCKET_IFNAME;
  return together({ launch, device, ...(networkInterface && { networkInterface }) }, async (world) => {
    const own = { ...asked, args: { ...asked.args, device: `${world.device}` } };
    const shares = sharesOf(world)!; // a launch is of several
    if (world.rank > 0) {
      await helpOnData(own, { ...shares, next: () => told(world) }, quiet(context));
      return { json: {}, text: "", silent: true };
    }
    const outcome = await run({ ...own, lead: { ...shares, call: (wanted: Wanted) => tell(world, wanted) } });
    await tell(world, undefined);
    return outcome;
  });
}

/** The error, with a further cure where it rests on times that other programs disturbed. */
export const onBusyMachine = (error: unknown, busy: string | undefined): unknown =>
  busy !== undefined && isAboutSpeed(error) ? error.curedBy(busy) : error;

async function tell(world: World, wanted: Wanted | undefined): Promise<void> {
  await fromFirst(world, wanted && new TextEncoder().encode(JSON.stringify(wanted)));
}

async function told(world: World): Promise<Wanted | undefined> {
  const bytes = await fromFirst(world, undefined);
  return bytes && (JSON.parse(new TextDecoder().decode(bytes)) as Wanted);
}

/** Of a process that is not the first. */
const quiet = (context: Context): Context => ({
  ...context,
  note: () => undefined,
  progress: () => ({ update: () => undefined, stop: () => undefined }),
});
