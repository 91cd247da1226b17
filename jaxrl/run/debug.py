"""Replay of a diverged member with a check after every primitive, which names the first bad one."""

from __future__ import annotations

import jax
from jax.experimental import checkify

from jaxrl.core.errors import UsageError
from jaxrl.core.tree import tree_take
from jaxrl.core.types import PyTree
from jaxrl.run import distributed, guard
from jaxrl.run.population import Members


def find_nonfinite(members: Members, state: PyTree, member: int, start: int, stop: int) -> str | None:
    """Replays updates `start .. stop - 1` of one member from `state` `[B, ...]`.

    Returns the first update that breaks a watched quantity and the primitive that made it, or None where
    all is finite. The last bits may differ from those of a member in a lane wider than one.
    Raises UsageError where several processes hold members that devices share.
    """
    if members.population.work is not None and distributed.several():
        raise UsageError(
            "debug-nan: members that devices share are replayed by one process; resume without --processes"
        )
    checked = jax.jit(checkify.checkify(members.alone(members.step.call), errors=checkify.float_checks))
    state, hyper = tree_take(state, member), tree_take(members.hypers, member)
    data = members.data if members.shared_data else tree_take(members.data, member)
    if members.population.work is not None:  # `alone` is a program of one device
        state, hyper, data = jax.device_put((state, hyper, data), jax.local_devices()[0])
    for update in range(start, stop):
        error, (state, metrics) = checked(state, hyper, data)
        found = [name for name, bad in guard.broken(state, metrics).items() if bad]
        if found:
            reason = error.get() or "no NaN was made by a primitive: a number overflowed"
            return f"{', '.join(found)} not finite at update {update}: {reason}"
    return None
