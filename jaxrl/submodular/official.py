"""The learner of the released grid script, kept apart because its direction is not the gradient of J.

Each action's score is multiplied by F(tau_{0:h+1}), the value so far, not by the gain to come: on average
the action's own next gain alone, see `credit.py`. No baseline; the loss is a mean over steps and episodes of
returns divided by 2 (states + 1), the weight that 2 x 2 footprints can cover at most, less the mean entropy
times its coefficient / (epoch + 1); Adam, one step per batch of 500. Network and initial weights are those of
`subpo.Config`; the features to go with it are `markov_raw` and `history_raw`. Slips are not written into the
batch of actions, as they are in the release.

Source: `main.py` of `manish-pra/non-additive-RL`, at ef8ea29.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import optax

from jaxrl.baselines import reinforce
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm, Array, PyTree
from jaxrl.envs.base import Env
from jaxrl.submodular import subpo
from jaxrl.submodular.credit import check_length, signal


def official(env: Env, states: int, n_envs: int = 500) -> Algorithm:
    """The released learner on episodes of `states` visited states (its `horizon`), the first included.

    Takes `subpo.Hyper`, of which it reads `lr`, `entropy` (the coefficient at epoch 0) and `max_grad_norm`.
    Raises `UsageError` for fewer than 2 states, and for others than those of the episodes of `env`.
    """
    if states < 2:
        raise UsageError(f"official.states: must be >= 2 visited states, got {states}")
    check_length("official.states - 1", states - 1, env)
    config = subpo.Config(n_envs=n_envs, length=states - 1, credit="prefix", baseline="none")
    inner = reinforce.make(config, env, signal=partial(_released, states), optimiser=optax.scale_by_adam())

    def step(
        state: reinforce.State, hyper: subpo.Hyper, data: PyTree
    ) -> tuple[reinforce.State, dict[str, Any]]:
        return inner.step(state, hyper.replace(entropy=hyper.entropy / (state.updates + 1)), data)

    return inner._replace(step=step)


def _released(states: int, window: reinforce.Window, value: Array, hyper: subpo.Hyper) -> Array:
    info = window.batch.info
    total = signal("prefix", window.reward, window.batch.done, info["F"][0] - info["gain"][0])
    return total / (2 * (states + 1) * (states - 1))
