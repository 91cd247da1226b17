"""Both stages of C-MORL on convex Deep Sea Treasure, as `experiments/morl/discrete_suite.py` trains them.

python -m benchmarks.morl.front_worker --seed 0 --seconds 600
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from benchmarks.morl.fronts import Watch, worker_arguments
from experiments.morl.settings import finite, grid, learner, numbers, setting
from jaxrl.core.prng import stream
from jaxrl.morl import cmorl, scalarised
from jaxrl.morl.hypervolume import exact_hypervolume
from jaxrl.morl.preferences import preferences
from jaxrl.run.population import as_arrays
from jaxrl.run.sweep import member_keys

TASK, ENVS, UPDATES, CAPACITY = "dst-convex", 64, 20, 128


def main() -> None:
    args = worker_arguments(__doc__)
    one, found = setting(TASK), finite(TASK)
    reference = np.asarray(found.task.reference, np.float32)
    config, initial = learner(one, ENVS), one.initial
    archives: list[Any] = []

    def volume() -> float:
        entries = archives[-1].entries.returns[np.asarray(archives[-1].valid)]
        return exact_hypervolume(entries, reference)

    watch = Watch(volume, 0.5)

    def rounds(algorithm: Any, hyper: Any, data: Any, key: Any, count: int) -> Any:
        """The last archive; every archive on the way is offered to the watch."""
        hyper = as_arrays(hyper)
        state = jax.jit(algorithm.init)(key, hyper, data)
        step = jax.jit(lambda s, data: algorithm.step(s, hyper, data)[0])
        for _ in range(count):
            state = jax.block_until_ready(step(state, data))
            archives[:] = [state.archive]
            watch.show()
            if watch.spent >= args.seconds:
                break
        return state.archive

    key = member_keys(args.seed, 1)[0]
    first = scalarised.make(scalarised.Config(config, CAPACITY, found.evaluation), found.env)
    weights = preferences(grid(one), len(reference))
    hyper = scalarised.Hyper(weights, reference, numbers(one, found, initial), found.task.gamma)
    begin = rounds(first, hyper, found.mdp, key, initial)
    later = numbers(one, found, UPDATES).replace(entropy=0.0)
    second = cmorl.make(cmorl.Config(config, found.evaluation, one.selected, UPDATES, one.rounds), found.env)
    extended = cmorl.Hyper(reference, later, found.task.gamma, t=one.t[0])
    if watch.spent < args.seconds:
        rounds(second, extended, cmorl.Data(found.mdp, begin), stream(key, 2), one.rounds)
    watch.show(always=True)


if __name__ == "__main__":
    main()
