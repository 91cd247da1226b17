"""An algorithm of morl-baselines on convex Deep Sea Treasure or Minecart, in the environment of its setup.

    python -m benchmarks.morl.front_peer "GPI-LS" --problem sea --seed 0 --seconds 60

The environments that the algorithm is given look at the clock after every step, so that all of them are
measured and ended alike. Their logger, wandb, is off.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ |= {"WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}

import gymnasium
import mo_gymnasium
import numpy as np
from pymoo.indicators.hv import HV

from benchmarks.morl.fronts import PROBLEMS, Watch, worker_arguments

EXPLORATION = {"initial_epsilon": 1.0, "final_epsilon": 0.05, "epsilon_decay_steps": 10_000}
STEPS = {"sea": 100, "minecart": 500}  # after which an episode ends
Found = tuple[Callable[[], float], Callable[[], Any], float]
"""Hypervolume of what is found, the training, and the CPU seconds between two lines."""


class TimeUp(Exception):
    """The CPU seconds are spent."""


class Watched(gymnasium.Wrapper):
    """Shows what is found after a step, and raises `TimeUp` when the time is spent.

    watch: set after the algorithm was made, which needs an environment.
    """

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(make_env(name))
        self.watch: Watch | None = None
        self._seconds = seconds

    def step(self, action: Any) -> Any:
        """A step of the environment."""
        out = self.env.step(action)
        if self.watch is not None:
            self.watch.show()
            if self.watch.spent >= self._seconds:
                raise TimeUp
        return out


class Task:
    """A problem, its preferences, and the hypervolume of returns."""

    def __init__(self, name: str) -> None:
        self.name, self.problem = name, PROBLEMS[name]
        self.reference = np.array(self.problem.reference)
        shares = np.linspace(0, 1, 21) if len(self.reference) == 2 else np.linspace(0, 1, 6)
        grid = np.stack(np.meshgrid(*[shares] * (len(self.reference) - 1), indexing="ij"), -1)
        first = grid.reshape(-1, len(self.reference) - 1)
        inside = first[first.sum(-1) <= 1 + 1e-9]
        self.weights = np.concatenate([inside, 1 - inside.sum(-1, keepdims=True)], -1).astype(np.float32)

    def volume(self, points: list[Any]) -> float:
        """Hypervolume of returns above the reference point."""
        return float(HV(ref_point=-self.reference)(-np.array(points))) if len(points) else 0.0

    def served(self, agent: Any) -> float:
        """Hypervolume of what an agent does greedily for each of the preferences."""
        env, found = make_env(self.name), []
        for w in self.weights:
            obs, _ = env.reset()
            returns, discount, ended = np.zeros(len(w)), 1.0, False
            while not ended:
                obs, reward, terminated, truncated, _ = env.step(agent.eval(obs, w))
                returns, discount = returns + discount * np.array(reward), discount * self.problem.gamma
                ended = terminated or truncated
            found.append(returns)
        return self.volume(found)


def make_env(name: str) -> Any:
    """The environment of a problem, whose episodes end after the steps of `STEPS`."""
    return gymnasium.wrappers.TimeLimit(mo_gymnasium.make(PROBLEMS[name].env).unwrapped, STEPS[name])


def pareto_q_learning(task: Task, env: Any, seed: int) -> Found:
    """Pareto Q-learning, tabular."""
    from morl_baselines.multi_policy.pareto_q_learning.pql import PQL

    agent = PQL(env, task.reference, gamma=task.problem.gamma, seed=seed, log=False)

    def found() -> float:
        return task.volume(list(agent.get_local_pcs(0)))

    return found, lambda: agent.train(10**9, env), 0.25


def envelope(task: Task, env: Any, seed: int) -> Found:
    """Envelope Q-learning."""
    from morl_baselines.multi_policy.envelope.envelope import Envelope

    agent = Envelope(env, gamma=task.problem.gamma, seed=seed, log=False, device="cpu", **EXPLORATION)
    return lambda: task.served(agent), lambda: agent.train(10**9), 20.0


def gpi_ls(task: Task, env: Any, seed: int) -> Found:
    """GPI-LS with one gradient step per transition and a thousand transitions per preference."""
    from morl_baselines.multi_policy.gpi_pd.gpi_pd import GPILS

    options = {"gamma": task.problem.gamma, "seed": seed, "gradient_updates": 1, **EXPLORATION}
    agent = GPILS(env, log=False, device="cpu", **options)

    def training() -> None:
        agent.train(10**9, env, task.reference, timesteps_per_iter=1000, eval_freq=10**9, checkpoints=False)

    return lambda: task.served(agent), training, 20.0


def morld(task: Task, env: Any, seed: int) -> Found:
    """MORL/D as its example for discrete actions has it: SAC, weighted sum, one replay, weights adapted.

    Policies are evaluated and weights exchanged after every thousand transitions, so that a short run has a
    front.
    """
    from morl_baselines.multi_policy.morld.morld import MORLD

    agent = MORLD(
        env=env,
        exchange_every=1000,
        pop_size=6,
        policy_name="MOSACDiscrete",
        scalarization_method="ws",
        evaluation_mode="ser",
        gamma=task.problem.gamma,
        log=False,
        neighborhood_size=1,
        update_passes=10,
        shared_buffer=True,
        sharing_mechanism=[],
        weight_adaptation_method="PSA",
        seed=seed,
        device="cpu",
        policy_args={"batch_size": 128, "net_arch": [64, 64], "target_entropy_scale": 0.3},
    )

    def training() -> None:
        agent.train(10**9, make_env(task.name), task.reference, checkpoints=False)

    return lambda: task.volume(list(agent.archive.evaluations)), training, 5.0


MAKE = {
    "Pareto Q-learning": pareto_q_learning,
    "Envelope": envelope,
    "GPI-LS": gpi_ls,
    "MORL/D": morld,
}


def main() -> None:
    args = worker_arguments(__doc__, choices=MAKE)
    env = Watched(args.problem, args.seconds)
    found, training, every = MAKE[args.name](Task(args.problem), env, args.seed)
    env.watch = Watch(found, every)
    try:
        training()
    except TimeUp:
        env.watch.show(always=True)


if __name__ == "__main__":
    main()
