"""Actions clipped to their bounds."""

import jax.numpy as jnp
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.wrappers.clip_action import clip_action
from tests.envs.wrappers.counting import Count, play


def test_clip_action():
    _, outs = play(clip_action(Count()), 1, action=jnp.array([[-3.0, 0.5], [2.0, 9.0]]))
    assert outs[0].info["action"].tolist() == [[-1, 0.5], [2, 2]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clip_action(CartPole()), r"ClipAction\.env: CartPole needs a Box"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
