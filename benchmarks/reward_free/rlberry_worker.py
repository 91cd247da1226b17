"""The 1/n explorer of rlberry-scool, served round by round, in the environment of `reward_free setup`.

python -m benchmarks.reward_free.rlberry_worker --states 25 --horizon 20 --episodes 100 --numba
python -m benchmarks.reward_free.rlberry_worker --states 25 --horizon 20 --parity OUT.npy

rlberry-scool 0.7.3 runs its backward induction in plain Python; `--numba` compiles these same functions, as
earlier releases did. With `--parity` the agent is fed given transitions, and its index is written to a file.
"""

from __future__ import annotations

import argparse
import logging
import sys

import numba
import numpy as np
import rlberry
import rlberry.spaces as spaces
from rlberry.envs import Model
from rlberry_scool.agents.ucbvi import ucbvi
from rlberry_scool.agents.ucbvi.ucbvi import UCBVIAgent

from benchmarks.measure import Clock
from benchmarks.reward_free import instances as instances


class Tables(Model):
    """A simulator of tables with the interface of rlberry; the reward is 0."""

    name = "tables"

    def __init__(self, P: np.ndarray = None, **options: object) -> None:
        Model.__init__(self, **options)
        self.cdf, self.state = P.cumsum(-1), 0
        self.observation_space = spaces.Discrete(P.shape[0])
        self.action_space = spaces.Discrete(P.shape[1])
        self.reward_range = (0.0, 1.0)

    def reset(self, seed: object = None, options: object = None) -> tuple[int, dict]:
        """State 0."""
        self.state = 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict]:
        """A successor by the inverse distribution function."""
        cdf = self.cdf[self.state, action]
        self.state = min(int(np.searchsorted(cdf, self.rng.random(), side="right")), len(cdf) - 1)
        return self.state, 0.0, False, False, {}


def agent(S: int, horizon: int, stage_dependent: bool) -> UCBVIAgent:
    """The 1/n explorer on the tables of `instances`."""
    env = Tables(instances.tables(S))
    options = {"reward_free": True, "stage_dependent": stage_dependent, "seeder": 0}
    return UCBVIAgent(env, horizon=horizon, gamma=1.0, **options)


def index_of(S: int, horizon: int, transitions: np.ndarray) -> np.ndarray:
    """Q float64[H, S, A] after given transitions int[episodes, H, 3], with counts per stage."""
    learner = agent(S, horizon, True)
    for episode in transitions:
        for h, (s, a, x) in enumerate(episode):
            learner._update(s, a, x, 0.0, h)
    bonus = learner.R_hat + learner.B_sa
    ucbvi.backward_induction_sd(learner.Q, learner.V, bonus, learner.P_hat, 1.0, learner.v_max[0])
    return learner.Q


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--states", type=int, required=True)
    parser.add_argument("--horizon", type=int, required=True)
    parser.add_argument("--episodes", type=int, default=1)
    parser.add_argument("--numba", action="store_true", help="compile the loops of the backward induction")
    parser.add_argument("--parity", help="write the index after given transitions to this file, and end")
    args = parser.parse_args()
    rlberry.logger.setLevel(logging.ERROR)
    if args.parity:
        given = instances.transitions(args.states, args.horizon, args.episodes)
        np.save(args.parity, index_of(args.states, args.horizon, given))
        return
    if args.numba:
        for name in ("backward_induction_reward_sd", "backward_induction_in_place"):
            setattr(ucbvi, name, numba.njit(getattr(ucbvi, name)))
    learner = agent(args.states, args.horizon, False)
    learner.fit(budget=2)
    print("ready " + ("rlberry-scool 0.7.3, numba" if args.numba else "rlberry-scool 0.7.3"), flush=True)
    for _ in sys.stdin:
        with Clock() as clock:
            learner.fit(budget=args.episodes)
        print(f"round {clock.cpu} {clock.wall}", flush=True)


if __name__ == "__main__":
    main()
