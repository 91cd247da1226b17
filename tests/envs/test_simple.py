"""Subclasses of `SimpleEnv` are environments that the contract accepts, with numbers that have no dtype."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Policy
from jaxrl.envs.check import check_env
from jaxrl.envs.simple import SimpleEnv
from jaxrl.rollout.evaluate import evaluate


class Walk(SimpleEnv):
    """A walk on 0 .. size, with Python numbers wherever there can be some."""

    size: int = 4
    params: ClassVar = {"drift": 0.0, "step": 1}
    observation_space = Box(0.0, 1.0, (2,))
    action_space = Discrete(2)
    limit = 30

    def start(self, key, params):
        return {"x": 0, "moved": 0.0}

    def move(self, key, state, action, params):
        ignored = jax.random.bernoulli(key, jnp.clip(params["drift"], 0, 1))
        x = jnp.clip(state["x"] + jnp.where(ignored, 0, (2 * action - 1) * params["step"]), 0, self.size)
        return {"x": x, "moved": 1.0}, 1, x == self.size

    def observe(self, state, params):
        return jnp.stack([state["x"] / self.size, state["moved"]])


def test_the_contract_holds():
    check_env(Walk(), skip=("no_derived_params",))


def test_returns_are_those_of_the_moves():
    always = Policy(lambda key, obs, memory: (jnp.int32(1), (), memory))
    for size in (4, 7):
        found = evaluate(Walk(size), always, jax.random.key(0), Walk().default_params(), episodes=2)
        np.testing.assert_array_equal(found.returns, [size] * 2)
        assert found.terminated.all()
    never = Policy(lambda key, obs, memory: (jnp.int32(0), (), memory))
    found = evaluate(Walk(), never, jax.random.key(0), Walk().default_params(), episodes=1)
    assert int(found.lengths[0]) == Walk.limit and not found.terminated.any()


def test_numbers_are_arrays_of_their_kind():
    params = Walk().default_params()
    assert {name: str(x.dtype) for name, x in params.items()} == {"drift": "float32", "step": "int32"}
    assert (Walk().name, hash(Walk(5)) == hash(Walk(5)), Walk(5) == Walk()) == ("Walk", True, False)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"move": None}, "Bad: defines no move"),
        ({"limit": 0}, "Bad: limit: must be a number of steps, at least 1, got 0"),
        ({"limit": 2.5}, "Bad: limit: must be a number of steps, at least 1, got 2.5"),
        ({"params": {"map": np.zeros(3)}}, "Bad: params: map must be a number"),
        ({"params": [1.0]}, "Bad: params: must be a dict from names to numbers, got list"),
        ({"action_space": 2}, "Bad: action_space: must be a space of jaxrl.core.spaces, got 2"),
    ],
)
def test_what_a_class_lacks_is_said_where_it_is_defined(change, sentence):
    body = {k: v for k, v in vars(Walk).items() if k in ("observation_space", "action_space", "limit")}
    body |= {"start": Walk.start, "move": Walk.move, **change}
    with pytest.raises(UsageError) as error:
        type("Bad", (SimpleEnv,), {k: v for k, v in body.items() if v is not None})
    assert sentence in str(error.value)


def test_a_move_without_an_end_is_refused():
    class Short(Walk):
        def move(self, key, state, action, params):
            return state, 1.0

    with pytest.raises(UsageError, match=r"Short: move returns 2 values, not \(state, reward, terminated\)"):
        check_env(Short())
