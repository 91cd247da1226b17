"""What the released grid script computes, kept apart from the default because it is not the gradient of J.

Each action's score is weighed with F(tau_{0:h+1}), the value so far, instead of the gain to come: on average
the action's own next gain alone, see `credit.py`. No baseline; the loss is a mean over steps and episodes of
returns divided by 2 (states + 1), the weight that 2 x 2 footprints can cover at most; Adam, one step per
batch of 500. Network and initial weights are those of `subpo.Config`; the features to go with it are
`markov_raw` and `history_raw`. Slips are not written into the batch of actions, as they are in the release.

Source: `main.py` of `manish-pra/non-additive-RL`, at ef8ea29.
"""

from __future__ import annotations

import optax

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Algorithm
from jaxrl.envs.base import Env
from jaxrl.submodular import subpo


def official(env: Env, states: int, n_envs: int = 500) -> Algorithm:
    """The released learner on episodes of `states` visited states (its `horizon`), the first included.

    Takes `subpo.Hyper`, of which only the learning rate and the entropy coefficient matter.
    """
    if states < 2:
        raise UsageError(f"official.states: must be >= 2 visited states, got {states}")
    config = subpo.Config(n_envs=n_envs, length=states - 1, credit="prefix", baseline="none")
    # Adam forgets the scale of the loss but for its epsilon
    scale = 1 / ((states - 1) * 2 * (states + 1))
    return subpo.make(config, env, optimiser=optax.chain(optax.scale(scale), optax.scale_by_adam()))
