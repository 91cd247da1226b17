"""What PPO refuses: one sentence that names the field."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.rollout.unroll import Freeze

CONFIGS = [
    ({"n_envs": 0}, "n_envs"),
    ({"length": 0}, "length"),
    ({"epochs": 0}, "epochs"),
    ({"minibatches": -1}, "minibatches"),
    ({"minibatches": 3}, "minibatches"),
    ({"minibatches": 128, "shuffle": "envs"}, "minibatches"),
    ({"memory": -1}, "memory"),
    ({"memory": 8}, "shuffle"),
    ({"widths": (64, 0)}, "widths"),
    ({"shuffle": "columns"}, "shuffle"),
    ({"normalise_advantage": True}, "normalise_advantage"),
    ({"params_axis": 1}, "params_axis"),
    ({"reset": Freeze()}, "reset"),
    ({"activation": "sine"}, "activation"),
]


@pytest.mark.parametrize(("fields", "name"), CONFIGS)
def test_config_names_the_field(fields, name):
    with pytest.raises(UsageError, match=rf"^Config\.{name}: [^\n]+$"):
        ppo.Config(**fields)


@dataclass(frozen=True)
class _Spaces:
    action_space: object
    name: str = "Spaces"
    reward_dim: int | None = None
    observation_space = Box(-1.0, 1.0, (2,))


@pytest.mark.parametrize(
    ("space", "options"),
    [
        ((Discrete(2), Box(-1.0, 1.0, (1,))), {}),
        (Box(0, 5, (1,), np.int32), {}),
        (Box(-np.inf, np.inf, (1,)), {"squash": True}),
    ],
)
def test_make_names_the_environment_and_the_space(space, options):
    with pytest.raises(UsageError, match=r"^Spaces: action_space: [^\n]+$"):
        ppo.make(ppo.Config(**options), _Spaces(space))


@pytest.mark.parametrize(("reward_dim", "w"), [(None, jnp.ones(2)), (3, jnp.ones(2)), (3, None)])
def test_weights_must_fit_the_reward(reward_dim, w):
    algorithm = ppo.make(ppo.Config(), _Spaces(Discrete(2), reward_dim=reward_dim))
    with pytest.raises(UsageError, match=r"^Hyper\.w: Spaces (has scalar|needs 3)"):
        jax.eval_shape(algorithm.init, jax.random.key(0), ppo.Hyper(w=w), ())
