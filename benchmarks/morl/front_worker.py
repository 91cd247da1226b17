"""Both stages of C-MORL on convex Deep Sea Treasure or Minecart, as the experiments train them.

python -m benchmarks.morl.front_worker --problem sea --seed 0 --seconds 600
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from benchmarks.morl.fronts import Watch, worker_arguments
from experiments.morl import discrete_suite, episodic, minecart
from experiments.morl.stages import Plan
from jaxrl.core.prng import stream
from jaxrl.morl import cmorl, scalarised
from jaxrl.morl.hypervolume import exact_hypervolume
from jaxrl.morl.preferences import preferences
from jaxrl.run.population import as_arrays
from jaxrl.run.sweep import member_keys

T, BETA = 20.0, 0.9  # sharpness of the barrier, retained share


def plan_of(problem: str) -> Plan:
    """What the experiments train on a problem."""
    if problem == "sea":
        return discrete_suite.plan(discrete_suite.Config(("dst-convex",), capacity=128), "dst-convex")[0]
    return episodic.plan(minecart.PRESETS["quick"], "minecart-deterministic")


def main() -> None:
    args = worker_arguments(__doc__)
    own = plan_of(args.problem)
    reference = np.asarray(own.reference, np.float32)
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
    static = scalarised.Config(own.learner, own.capacity, own.evaluation, own.every)
    hyper = scalarised.Hyper(preferences(own.weights, len(reference)), reference, own.first, own.gamma)
    begin = rounds(scalarised.make(static, own.env), hyper, own.data, key, own.initial)
    second = cmorl.Config(own.learner, own.evaluation, own.selected, own.updates, own.rounds)
    extended = cmorl.Hyper(reference, own.later, own.gamma, beta=BETA, t=T)
    if watch.spent < args.seconds:
        data = cmorl.Data(own.data, begin)
        rounds(cmorl.make(second, own.env), extended, data, stream(key, 2), own.rounds)
    watch.show(always=True)


if __name__ == "__main__":
    main()
