"""An algorithm of three functions is one like any other: state, keys, policies and export."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.simple import algorithm, policy
from jaxrl.core.spaces import Box, Discrete
from jaxrl.run.sweep import sweep


class Env:
    observation_space, action_space = Box(-1.0, 1.0, (2,)), Discrete(2)


def start(key, hyper, data):
    return {"mean": jnp.zeros(2), "n": 0, "best": -jnp.inf}


def update(learned, key, hyper, data):
    drawn = data + jax.random.normal(key, (2,))
    mean = learned["mean"] + hyper * (drawn - learned["mean"])
    best = jnp.maximum(learned["best"], mean.max())
    return {"mean": mean, "n": learned["n"] + 1, "best": best}, {"best": best}


def choose(learned, obs, key):
    noise = 0.0 if key is None else 100 * jax.random.normal(key)
    return (obs @ learned["mean"] + noise > 0).astype(jnp.int32)


def test_updates_are_those_of_a_loop_with_a_fresh_key_each():
    made, data = algorithm(None, Env, start, update, choose), jnp.array([3.0, -1.0])
    (member,) = sweep(lambda _: made, [(0, 0.5)], seeds=1, data=data, updates=4, progress=False)
    mean, best = np.zeros(2), -np.inf
    for i in range(4):
        drawn = np.asarray(data + jax.random.normal(stream(member.state.key, i + 1), (2,)))
        mean = mean + 0.5 * (drawn - mean)
        best = max(best, mean.max())
    np.testing.assert_allclose(member.state.learned["mean"], mean, rtol=1e-6)
    np.testing.assert_allclose(member.history["best"][-1], best, rtol=1e-6)
    assert member.state.updates == 4 and member.state.learned["n"] == 4


def test_a_greedy_policy_ignores_its_key_and_another_uses_it():
    made = algorithm(None, Env, start, update, choose)
    state = made.init(jax.random.key(0), 0.5, jnp.zeros(2))._replace(
        learned={"mean": jnp.array([1.0, 0.0]), "n": 0, "best": 0.0}
    )
    obs = np.array([0.5, 0.0], np.float32)
    keys = jax.random.split(jax.random.key(1), 20)
    for greedy, count in ((True, 1), (False, 2)):
        act = made.act(state, 0.5, greedy).act
        assert len({int(act(key, obs, ())[0]) for key in keys}) == count


def test_policies_of_one_choice_are_one_program():
    one, two = (policy(choose, {"mean": jnp.full(2, x)}) for x in (1.0, 2.0))
    assert jax.tree.structure(one.as_tree()) == jax.tree.structure(two.as_tree())


def test_it_says_how_it_was_made():
    origin = algorithm("config", Env, start, update, choose).origin
    assert (origin.module, origin.config) == (__name__, "config")
    assert (origin.observation_space, origin.action_space) == (Env.observation_space, Env.action_space)
    assert origin.env is Env


def test_an_update_without_metrics_is_refused():
    made = algorithm(None, Env, start, lambda learned, key, hyper, data: learned, choose)
    state = made.init(jax.random.key(0), 0.5, jnp.zeros(2))
    with pytest.raises(UsageError, match=r"update returns dict, not \(learned, metrics\)"):
        made.step(state, 0.5, jnp.zeros(2))
