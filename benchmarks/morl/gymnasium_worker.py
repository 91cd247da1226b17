"""mo-gymnasium's vector environment at our settings, served round by round.

python -m benchmarks.morl.gymnasium_worker Minecart --envs 64 --steps 100
"""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version

import mo_gymnasium
import numpy as np
from mo_gymnasium.wrappers.vector import MOSyncVectorEnv

from benchmarks.measure import Clock
from benchmarks.morl.environments import PEERS, worker_arguments


def main() -> None:
    args = worker_arguments(__doc__)
    warnings.filterwarnings("ignore", module="gymnasium")
    envs = MOSyncVectorEnv([lambda: mo_gymnasium.make(PEERS[args.name]) for _ in range(args.envs)])
    shape, n = (args.steps, args.envs), envs.single_action_space.n
    actions = np.random.default_rng(0).integers(n, size=shape)

    def round_of_steps() -> list:
        return [envs.step(row) for row in actions]

    envs.reset(seed=0)
    round_of_steps()
    print(f"ready MOSyncVectorEnv, version {version('mo-gymnasium')}", flush=True)
    for _ in sys.stdin:
        with Clock() as clock:
            round_of_steps()
        print(f"round {clock.cpu} {clock.wall}", flush=True)


if __name__ == "__main__":
    main()
