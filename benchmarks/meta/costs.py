"""What lifetimes, drifts, generations and meta-gradients cost beside their plainer versions.

python -m benchmarks.meta.costs population   64 PPO lifetimes in one program against one alone
python -m benchmarks.meta.costs drift        PPO with a TA-LPO drift of 128 units against PPO
python -m benchmarks.meta.costs generation   what is no lifetime of a generation, as a share of the whole
python -m benchmarks.meta.costs remat        meta-gradients whose updates are computed again, time and memory

PPO lifetimes are those of the CartPole study, 8 environments of 32 steps and 32 gradient steps an update;
rules for targets live on small grid levels. Rounds of the two sides alternate; times are CPU seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.measure import Clock, Entry, compile_ahead, emit
from benchmarks.meta.lifetimes import CONFIG, RULE, levels
from jaxrl.baselines import ppo
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.meta import drift, evolution, lifetimes, lpg, meta_gradient
from jaxrl.meta.evaluation import LEARNERS, TOGETHER
from jaxrl.meta.objective import MASKS

GROUP = "meta"
COMMANDS = [
    (True, ["population"], ["population", "--size", "2", "--updates", "1"]),
    (True, ["drift"], ["drift", "--size", "2", "--updates", "1"]),
    (True, ["generation"], ["generation", "--size", "8", "--updates", "5"]),
    (True, ["remat"], ["remat", "--size", "2"]),
]


def clocked(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every side by round, sides in turn, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(rounds + 1):
        for name, side in sides.items():
            with Clock() as clock:
                jax.block_until_ready(side())
            if i:
                seconds[name].append(clock.cpu)
    return seconds


def compared(seconds: dict[str, list[float]], settings: str, ratio: str, ceiling: float) -> list[Entry]:
    """An entry for each of two sides, CPU seconds by round, and one for the second over the first."""
    sides = [Entry.of(GROUP, name, x, "CPU-s", settings=settings) for name, x in seconds.items()]
    by_round = [b / a for a, b in zip(*seconds.values(), strict=True)]
    return [*sides, Entry.of(GROUP, ratio, by_round, "ratio", settings="by round", ceiling=ceiling)]


def lives(size: int, updates: int, surrogate: Any = None) -> Callable[[], Array]:
    """`() -> returns [size]` of PPO lifetimes on CartPole in one compiled program."""
    env, (config, hyper) = CartPole(), LEARNERS["drift"]
    algorithm = ppo.make(config, env) if surrogate is None else ppo.make(config, env, surrogate)
    run = lifetimes.lifetime(algorithm, env, episodes=8)
    told = hyper.replace(updates_total=float(updates))
    keys = jax.random.split(jax.random.key(0), size)
    one = lambda key: run(told, env.default_params(), jnp.int32(updates), key)  # noqa: E731
    compiled, _ = compile_ahead(lifetimes.in_lanes(one, min(size, TOGETHER)), keys)
    return lambda: compiled(keys)


def population(size: int, updates: int, rounds: int) -> list[Entry]:
    """Environment steps per CPU-second of many lifetimes in one program, and of one alone."""
    config, _ = LEARNERS["drift"]
    seconds = clocked({"1": lives(1, updates), str(size): lives(size, updates)}, rounds)
    steps = config.n_envs * config.length * updates
    rates = {n: [int(n) * steps / s for s in values] for n, values in seconds.items()}
    name, settings = (
        "PPO lifetimes on CartPole",
        f"{updates} updates of 8 x 32 steps, 8 epochs of 4 minibatches",
    )
    entries = [
        Entry.of(GROUP, f"{name}: {n} in one program", values, "env steps / CPU-s", settings=settings)
        for n, values in rates.items()
    ]
    gain = [many / one for one, many in zip(*rates.values(), strict=True)]
    return [*entries, Entry.of(GROUP, f"{name}: {size} / 1", gain, "ratio", settings="by round", floor=1.8)]


def talpo(units: int) -> Any:
    """The surrogate of a TA-LPO drift from PPO whose network says something."""
    rule = drift.ta_lpo("ppo", units)
    phi = rule.init(jax.random.key(1))
    phi["w2"] = 0.1 * jax.random.normal(jax.random.key(2), (units,))
    return drift.drift(rule, phi)


def of_drift(size: int, updates: int, rounds: int) -> list[Entry]:
    """CPU seconds of a lifetime with the drift over those with the clip of PPO."""
    sides = {"PPO": lives(size, updates), "TA-LPO": lives(size, updates, talpo(128))}
    seconds = clocked(sides, rounds)
    each = {f"lifetime of {name} on CartPole": [s / size for s in x] for name, x in seconds.items()}
    settings = f"{size} lifetimes of {updates} updates together"
    return compared(each, settings, "lifetime with a TA-LPO drift of 128 units / with PPO", 1.15)


def generation(size: int, updates: int, rounds: int) -> list[Entry]:
    """CPU seconds of a generation whose fitness costs nothing over those of a whole one."""
    env = levels(True)
    whole = lpg.search(CONFIG, env, RULE, lpg.Hyper(), (5, updates), episodes=8)

    def cheap(phi: PyTree, task: lifetimes.Task, settings: evolution.Settings, data: PyTree) -> Array:
        """Reads everything that is drawn, so that it has to be drawn."""
        numbers = [jnp.sum(x.astype(jnp.float32)) for x in jax.tree.leaves((phi, task.level))]
        return sum(numbers) + task.horizon + jax.random.normal(task.key)

    problems = {"all of it": whole, "all but lifetimes": whole._replace(fitness=cheap)}
    hyper = jax.tree.map(jnp.asarray, evolution.Hyper(mask=MASKS["paper"]))
    sides = {}
    for name, problem in problems.items():
        algorithm = evolution.make(evolution.Config(pairs=size, lane=8, selection=0), problem)
        state = algorithm.init(jax.random.key(0), hyper, ())
        step, _ = compile_ahead(lambda s, a=algorithm: a.step(s, hyper, ())[0], state)
        sides[name] = lambda step=step, state=state: step(state)
    seconds = {f"generation: {name}": values for name, values in clocked(sides, rounds).items()}
    settings = f"TA-LPG of 32 units, {size} pairs, N in [5, {updates}], small levels"
    return compared(seconds, settings, "generation: all but lifetimes / all of it", 0.05)


def remat(size: int, updates: int, rounds: int) -> list[Entry]:
    """Time and memory of a meta-step whose updates are computed again over one that stores them."""
    env, sides, memory = levels(True), {}, []
    hyper = jax.tree.map(jnp.asarray, meta_gradient.Hyper())
    for name, again in (("stored", False), ("computed again", True)):
        config = meta_gradient.Config(CONFIG, agents=size, horizons=(updates, updates), remat=again)
        algorithm = meta_gradient.make(config, env, RULE)
        state = algorithm.init(jax.random.key(0), hyper, env.default_params())
        step, _ = compile_ahead(lambda s, a=algorithm: a.step(s, hyper, env.default_params())[0], state)
        memory.append(step.memory_analysis().temp_size_in_bytes / 1e6)
        sides[name] = lambda step=step, state=state: step(state)
    seconds = clocked(sides, rounds)
    settings = f"TA-LPG of 32 units, K = {config.updates}, {size} learners, small levels"
    entries = []
    for (name, values), megabytes in zip(seconds.items(), memory, strict=True):
        title = f"meta-step, updates {name}"
        entries += [
            Entry.of(GROUP, title, values, "CPU-s", settings=settings),
            Entry.of(GROUP, title, [megabytes], "MB of temporary arrays", settings=settings),
        ]
    ratio = [b / a for a, b in zip(*seconds.values(), strict=True)]
    name = "meta-step, updates computed again / stored"
    return [
        *entries,
        Entry.of(GROUP, f"{name}: time", ratio, "ratio", settings="by round", ceiling=1.3),
        Entry.of(GROUP, f"{name}: memory", [memory[1] / memory[0]], "ratio", ceiling=0.5),
    ]


WHAT: dict[str, tuple[Callable[..., list[Entry]], int, int]] = {
    "population": (population, 64, 40),
    "drift": (of_drift, 16, 40),
    "generation": (generation, 64, 50),
    "remat": (remat, 64, 50),
}
"""The comparison, its size (lifetimes, pairs or learners), and updates of a lifetime."""


def main(argv: list[str] | None = None) -> None:
    """Measures one of the comparisons and writes its entries."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--size", type=int, help="lifetimes, pairs or learners together")
    parser.add_argument("--updates", type=int, help="of a lifetime, the longest one")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    measure, size, updates = WHAT[args.what]
    emit(measure(args.size or size, args.updates or updates, args.rounds))


if __name__ == "__main__":
    main()
