"""host_evaluate against a plain loop, and its callback form."""

from types import SimpleNamespace

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Policy
from jaxrl.envs.adapters.gymnasium import maker
from jaxrl.rollout.host import host_evaluate

KEY = jax.random.key(0)


class Coin:
    """Ends after 2 or 5 steps by a coin of its seed; reward is the action, or a vector of it and one."""

    def __init__(self, vector=False, limit=9):
        self.vector, self.spec = vector, SimpleNamespace(max_episode_steps=limit)
        self.steps, self.closed = 0, False

    def reset(self, seed=None):
        self.height = (2, 5)[seed % 2]
        self.steps = 0
        return np.zeros(1), {}

    def step(self, action):
        assert self.steps < self.height, "stepped after the end"
        self.steps += 1
        reward = np.asarray([action, 1.0]) if self.vector else float(action)
        return np.full(1, float(self.steps)), reward, self.steps == self.height, False, {}

    def close(self):
        self.closed = True


def count(params):
    """Acts with its number of calls so far, held in memory, times the parameter."""
    return Policy(lambda key, obs, memory: (params * memory, (), memory + 1), jnp.zeros(()))


def test_returns_of_scalar_and_vector_rewards():
    made = []

    def make(vector):
        made.append(Coin(vector))
        return made[-1]

    for vector in (False, True):
        out = host_evaluate(lambda vector=vector: make(vector), count, 2.0, KEY, episodes=8, gamma=0.5)
        assert set(out.lengths) == {2, 5}
        for i, length in enumerate(out.lengths):
            rewards = np.asarray([[2.0 * t, 1.0] for t in range(length)])
            if not vector:
                rewards = rewards[:, 0]
            np.testing.assert_allclose(out.returns[i], rewards.sum(axis=0))
            weights = 0.5 ** np.arange(length)
            np.testing.assert_allclose(out.discounted[i], np.tensordot(weights, rewards, axes=1))
        assert out.terminated.all() and out.returns.dtype == np.float32
    assert len(made) == 16 and all(env.closed for env in made)


def test_limit_truncates():
    out = host_evaluate(Coin, count, 1.0, KEY, episodes=8, limit=3)
    np.testing.assert_array_equal(out.lengths, np.where(out.terminated, 2, 3))
    assert out.terminated.any() and not out.terminated.all()


def test_episodes_do_not_depend_on_their_number():
    many = host_evaluate(Coin, count, 1.0, KEY, episodes=8)
    few = host_evaluate(Coin, count, 1.0, KEY, episodes=3)
    np.testing.assert_array_equal(many.lengths[:3], few.lengths)


def random_push(params):
    return Policy(lambda key, obs, memory: (jax.random.randint(key, (), 0, 2), (), memory))


def upright(params):
    """A hand-made controller that holds the pole for all 500 steps."""
    return Policy(lambda key, obs, memory: ((obs @ params > 0).astype(jnp.int32), (), memory))


GAINS = np.asarray([0.05, 0.5, 5.0, 1.0], np.float32)


def test_cartpole():
    """The known scores: a good controller reaches the limit of 500, random pushes about 22."""
    make = maker("CartPole-v1")
    good = host_evaluate(make, upright, GAINS, KEY, episodes=3)
    np.testing.assert_array_equal(good.returns, [500, 500, 500])
    assert not good.terminated.any()
    bad = host_evaluate(make, random_push, (), KEY, episodes=50)
    assert bad.terminated.all() and 17 < bad.returns.mean() < 28
    np.testing.assert_array_equal(bad.returns, bad.lengths)


def test_one_compilation_per_policy_function():
    traces = []

    def counted(params):
        def act(key, obs, memory):
            traces.append(1)
            return params, (), memory

        return Policy(act)

    for value in (1.0, 2.0):
        host_evaluate(Coin, counted, jnp.asarray(value), KEY, episodes=2)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: host_evaluate(Coin, count, 1.0, KEY, episodes=0), "episodes: must be >= 1, got 0"),
        (
            lambda: host_evaluate(Coin, count, 1.0, KEY, episodes=1, limit=0),
            "limit: must be >= 1 or None, got 0",
        ),
        (
            lambda: host_evaluate(lambda: Coin(limit=None), count, 1.0, KEY, episodes=1),
            "limit: the environment has no time limit of its own; pass",
        ),
        (lambda: host_evaluate(Coin(), count, 1.0, KEY, episodes=1), "make_env: must be a function"),
        (lambda: host_evaluate(Coin, count(1.0), 1.0, KEY, episodes=1), "policy: must be a function"),
        (
            lambda: host_evaluate(Coin, count, 1.0, jax.random.PRNGKey(0), episodes=1),
            "key: must be one typed key",
        ),
        (lambda: host_evaluate(Coin, count, 1.0, KEY, episodes=1, gamma=np.nan), "gamma: must be"),
        (lambda: host_evaluate(Coin, count, 1.0, KEY, episodes=1, gamma="0.9"), "gamma: must be"),
        (lambda: host_evaluate(Coin, count, 1.0, KEY, episodes=1, gamma=2.0), "gamma: must be"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UsageError, match="^" + message):
        call()


class Odd(Coin):
    """Returns `found` instead of what gymnasium asks for, at reset or at every step."""

    def __init__(self, reset=None, step=None):
        super().__init__()
        self.odd = {"reset": reset, "step": step}

    def reset(self, seed=None):
        usual = super().reset(seed)
        return usual if self.odd["reset"] is None else self.odd["reset"](usual)

    def step(self, action):
        usual = super().step(action)
        return usual if self.odd["step"] is None else self.odd["step"](usual)


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        ({"reset": lambda found: found[0]}, "reset returns ndarray, not"),
        ({"step": lambda found: found[:2] + found[3:]}, "step returns 4 values, not"),
        ({"step": lambda found: (found[0], None, *found[2:])}, "a reward is None, not a number"),
        ({"step": lambda found: (found[0], 1j, *found[2:])}, "a reward is 1j, not a number"),
        ({"step": lambda found: (np.zeros(2), *found[1:])}, "observations change structure or shape"),
        ({"reset": lambda found: ("north", {})}, "observations hold <U5, not numbers"),
        ({"reset": lambda found: ({}, {})}, "observations are empty, not numbers"),
    ],
)
def test_environments_that_are_not_gymnasiums_are_named(odd, sentence):
    with pytest.raises(UsageError, match="^make_env: " + sentence):
        host_evaluate(lambda: Odd(**odd), count, 1.0, KEY, episodes=1)


def test_observations_of_several_lengths_are_refused():
    lengths = iter((1, 2))
    with pytest.raises(UsageError, match=r"^make_env: observations differ in structure or shape"):
        host_evaluate(
            lambda: Odd(reset=lambda found: (np.zeros(next(lengths)), {})), count, 1.0, KEY, episodes=2
        )


def test_gymnasiums_own_limit_counts_as_truncation():
    make = maker("MountainCar-v0")
    assert isinstance(make(), gymnasium.Env)
    out = host_evaluate(make, lambda p: Policy(lambda k, o, m: (p, (), m)), jnp.int32(1), KEY, episodes=1)
    assert (out.lengths[0], out.returns[0], out.terminated[0]) == (200, -200, False)
