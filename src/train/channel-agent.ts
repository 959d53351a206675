// The agent of AMC: deep deterministic policy gradients over a state of ten numbers and one action in 0..1, as the
// authors' code has it: an actor s -> 300 -> 300 -> 1 (sigmoid), a critic relu(fc(s) + fc(a)) -> 300 -> 1, targets that
// follow both slowly, a replay of transitions, no discount, and rewards less their moving average.
import { Random } from "../linalg/random.js";
import { backward, call, callAll, fromArray, noGrad, type Tensor, TensorScope, unowned } from "../torch/index.js";
import { type Optimizer, optimizer } from "./optimizers.js";

export interface Transition {
  readonly state: readonly number[];
  readonly action: number;
  readonly reward: number;
  /** Undefined at the end of an episode. */
  readonly next: readonly number[] | undefined;
}

export interface Agent extends Disposable {
  /** What it would do, with noise of a deviation, within 0..1. */
  act(state: readonly number[], deviation: number): number;
  /** Remembers an episode. */
  remember(transitions: readonly Transition[]): void;
  /** One update from a batch of what it remembers. */
  learn(): void;
}

const hidden = 300;
const adam = { name: "adam", betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 } as const;
const rates = { actor: 1e-4, critic: 1e-3 } as const;
const tau = 0.01;
const batch = 64;

type Layers = ReadonlyMap<string, Tensor>;

/** @param capacity transitions that are remembered */
export function channelAgent(states: number, capacity: number, seed: number): Agent {
  const random = new Random(`agent ${seed}`);
  const actor = layers(random, { one: [hidden, states], two: [hidden, hidden], out: [1, hidden] });
  const critic = layers(random, {
    state: [hidden, states],
    action: [hidden, 1],
    two: [hidden, hidden],
    out: [1, hidden],
  });
  const targets = { actor: copied(actor), critic: copied(critic) };
  const optimizers: Readonly<Record<"actor" | "critic", Optimizer>> = {
    actor: optimizer(actor, adam),
    critic: optimizer(critic, adam),
  };
  const memory: Transition[] = [];
  let baseline: number | undefined;
  const rows = (list: readonly (readonly number[])[]) =>
    fromArray(Float32Array.from(list.flat()), [list.length, list[0]!.length]);
  const learn = (): void => {
    if (memory.length === 0) return;
    using _scope = new TensorScope();
    const drawn = Array.from({ length: Math.min(batch, memory.length) }, () => memory[random.int(memory.length)]!);
    const mean = drawn.reduce((sum, { reward }) => sum + reward, 0) / drawn.length;
    baseline = baseline === undefined ? mean : 0.5 * baseline + 0.5 * mean;
    const [states, actions] = [rows(drawn.map(({ state }) => state)), rows(drawn.map(({ action }) => [action]))];
    const wanted = noGrad(() => {
      const next = rows(drawn.map(({ state, next: then }) => then ?? state));
      const goesOn = rows(drawn.map(({ next: then }) => [then === undefined ? 0 : 1]));
      const reward = rows(drawn.map((one) => [one.reward - baseline!]));
      const worth = valued(targets.critic, next, decided(targets.actor, next));
      return call("add.Tensor", reward, call("mul.Tensor", worth, goesOn));
    });
    backward(call("mse_loss", valued(critic, states, actions), wanted, 1));
    optimizers.critic.step(rates.critic);
    backward(call("mul.Scalar", call("mean", valued(critic, states, decided(actor, states))), -1));
    optimizers.actor.step(rates.actor);
    for (const tensor of critic.values()) tensor.grad = null;
    follow(targets.actor, actor);
    follow(targets.critic, critic);
  };
  return {
    act(state, deviation) {
      using _scope = new TensorScope();
      const mean = Number(noGrad(() => decided(actor, rows([state]))).item());
      return deviation > 0 ? truncatedNormal(random, mean, deviation) : mean;
    },
    remember(transitions) {
      memory.push(...transitions);
      memory.splice(0, Math.max(0, memory.length - capacity));
    },
    learn,
    [Symbol.dispose]() {
      for (const one of Object.values(optimizers)) one[Symbol.dispose]();
      for (const set of [actor, critic, targets.actor, targets.critic])
        for (const tensor of set.values()) tensor.dispose();
    },
  };
}

/** A normal deviate drawn again until it lies in 0..1. */
function truncatedNormal(random: Random, mean: number, deviation: number): number {
  for (let tries = 0; tries < 1000; tries++) {
    const value = mean + deviation * random.normal();
    if (value >= 0 && value <= 1) return value;
  }
  return Math.min(1, Math.max(0, mean));
}

/** Weights and biases, uniform within 1 / sqrt(inputs). */
function layers(random: Random, shapes: Readonly<Record<string, readonly [number, number]>>): Layers {
  const made = new Map<string, Tensor>();
  const draw = (dims: readonly number[], bound: number) => {
    const count = dims.reduce((n, size) => n * size, 1);
    const tensor = unowned(() =>
      fromArray(
        Float32Array.from({ length: count }, () => bound * (2 * random.next() - 1)),
        dims,
      ),
    );
    tensor.requiresGrad = true;
    return tensor;
  };
  for (const [name, [out, from]] of Object.entries(shapes)) {
    made.set(`${name}.weight`, draw([out, from], 1 / Math.sqrt(from)));
    made.set(`${name}.bias`, draw([out], 1 / Math.sqrt(from)));
  }
  return made;
}

const copied = (set: Layers): Layers =>
  new Map(
    [...set].map(([name, tensor]) => [name, unowned(() => fromArray(tensor.data() as Float32Array, tensor.shape))]),
  );

function follow(targets: Layers, from: Layers): void {
  noGrad(() => {
    callAll("_foreach_mul_.Scalar", [...targets.values()], 1 - tau);
    callAll("_foreach_add_.List", [...targets.values()], [...from.values()], { alpha: tau });
  });
}

const linear = (set: Layers, name: string, x: Tensor): Tensor =>
  call("linear", x, set.get(`${name}.weight`)!, set.get(`${name}.bias`)!);

/** The actor's action for each state. */
const decided = (set: Layers, states: Tensor): Tensor =>
  call("sigmoid", linear(set, "out", call("relu", linear(set, "two", call("relu", linear(set, "one", states))))));

/** What the critic thinks an action in a state is worth. */
function valued(set: Layers, states: Tensor, actions: Tensor): Tensor {
  const first = call("relu", call("add.Tensor", linear(set, "state", states), linear(set, "action", actions)));
  return linear(set, "out", call("relu", linear(set, "two", first)));
}
