"""An algorithm of morl-baselines on convex Deep Sea Treasure; runs in the environment of its setup.

    python -m benchmarks.morl.front_peer "GPI-LS" --seed 0 --seconds 60

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

from benchmarks.morl.fronts import PEERS, REFERENCE, Watch, worker_arguments

GAMMA = 0.99
WEIGHTS = [np.array([share, 1 - share], np.float32) for share in np.linspace(0, 1, 21)]
EXPLORATION = {"initial_epsilon": 1.0, "final_epsilon": 0.05, "epsilon_decay_steps": 10_000}


class TimeUp(Exception):
    """The CPU seconds are spent."""


class Watched(gymnasium.Wrapper):
    """Shows what is found after a step, and raises `TimeUp` when the time is spent.

    watch: set after the algorithm was made, which needs an environment.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(make_env())
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


def make_env() -> Any:
    """Convex Deep Sea Treasure, whose episodes end after 100 steps."""
    return gymnasium.wrappers.TimeLimit(mo_gymnasium.make("deep-sea-treasure-v0").unwrapped, 100)


def volume(points: list[Any]) -> float:
    """Hypervolume of returns above the reference point."""
    return float(HV(ref_point=-np.array(REFERENCE))(-np.array(points)))


def served(agent: Any) -> float:
    """Hypervolume of what an agent does greedily for each of twenty-one preferences."""
    env, found = make_env(), []
    for w in WEIGHTS:
        obs, _ = env.reset()
        returns, discount, ended = np.zeros(2), 1.0, False
        while not ended:
            obs, reward, terminated, truncated, _ = env.step(agent.eval(obs, w))
            returns, discount = returns + discount * np.array(reward), discount * GAMMA
            ended = terminated or truncated
        found.append(returns)
    return volume(found)


def pareto_q_learning(env: Any, seed: int) -> tuple[Callable[[], float], Callable[[], Any], float]:
    """`(hypervolume, training, seconds between two lines)` of Pareto Q-learning, tabular."""
    from morl_baselines.multi_policy.pareto_q_learning.pql import PQL

    agent = PQL(env, np.array(REFERENCE), gamma=GAMMA, seed=seed, log=False)

    def found() -> float:
        return volume(list(agent.get_local_pcs(0)))

    return found, lambda: agent.train(10**9, env), 0.25


def envelope(env: Any, seed: int) -> tuple[Callable[[], float], Callable[[], Any], float]:
    """The same of Envelope Q-learning."""
    from morl_baselines.multi_policy.envelope.envelope import Envelope

    agent = Envelope(env, gamma=GAMMA, seed=seed, log=False, device="cpu", **EXPLORATION)
    return lambda: served(agent), lambda: agent.train(10**9), 20.0


def gpi_ls(env: Any, seed: int) -> tuple[Callable[[], float], Callable[[], Any], float]:
    """The same of GPI-LS with one gradient step per transition and a thousand transitions per preference."""
    from morl_baselines.multi_policy.gpi_pd.gpi_pd import GPILS

    agent = GPILS(env, gamma=GAMMA, seed=seed, log=False, device="cpu", gradient_updates=1, **EXPLORATION)
    reference = np.array(REFERENCE)

    def training() -> None:
        agent.train(10**9, env, reference, timesteps_per_iter=1000, eval_freq=10**9, checkpoints=False)

    return lambda: served(agent), training, 20.0


MAKE = dict(zip(PEERS, (pareto_q_learning, envelope, gpi_ls), strict=True))


def main() -> None:
    args = worker_arguments(__doc__, choices=PEERS)
    env = Watched(args.seconds)
    found, training, every = MAKE[args.name](env, args.seed)
    env.watch = Watch(found, every)
    try:
        training()
    except TimeUp:
        env.watch.show(always=True)


if __name__ == "__main__":
    main()
