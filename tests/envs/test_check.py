"""`check_env` refuses an environment for each rule it checks, and names the rule."""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Step
from jaxrl.envs.base import integer, real
from jaxrl.envs.check import check_env
from jaxrl.envs.control.cartpole import CartPole


class Params(NamedTuple):
    drift: jax.Array
    edge: jax.Array
    limit: jax.Array


@dataclass(frozen=True)
class Good:
    """A random walk that ends at its edge; every other environment here breaks one rule of it."""

    name: str = "Walk"
    reward_dim: int | None = None

    @property
    def observation_space(self):
        return Box(-100.0, 100.0, (1,))

    @property
    def action_space(self):
        return Discrete(2)

    def default_params(self):
        return Params(real(0.1), real(3.0), integer(50))

    def time_limit(self, params):
        return params.limit

    def reset(self, key, params):
        x = jax.random.uniform(key, (), params.drift.dtype)
        return x, x[None]

    def step(self, key, state, action, params):
        noise = jax.random.normal(key, (), params.drift.dtype)
        x = state + params.drift * (2 * action - 1) + 0.5 * noise
        return x, Step(x[None], x * x, jnp.abs(x) > params.edge, {"square": x * x})


class NotFrozen(Good):
    """A plain class that inherits, without being a dataclass that compares its own fields."""


NotFrozen.__dataclass_params__ = type("Mutable", (), {"frozen": False})()


@dataclass(frozen=True)
class HoldsArray(Good):
    table: object = field(default_factory=lambda: np.zeros(3))


@dataclass(frozen=True)
class Unhashable(Good):
    sizes: list = field(default_factory=lambda: [1, 2])


@dataclass(frozen=True, eq=False)
class ByIdentity(Good):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class PythonNumber(Good):
    def default_params(self):
        return Params(0.1, real(3.0), integer(50))


class Branches(Good):
    def step(self, key, state, action, params):
        if params.drift > 0:
            return super().step(key, state, action, params)
        return super().step(key, state, 1 - action, params)


class UnusedLeaf(Good):
    class Params(NamedTuple):
        drift: jax.Array
        half: jax.Array  # the leaf that a derived `drift` leaves unread
        edge: jax.Array
        limit: jax.Array

    def default_params(self):
        return self.Params(real(0.1), real(0.05), real(3.0), integer(50))


class WeakParams(Good):
    def default_params(self):
        return Params(jnp.asarray(0.1), real(3.0), integer(50))


class WeakState(Good):
    def reset(self, key, params):
        return jnp.asarray(0.0), jnp.zeros(1)


class GrowingState(Good):
    def reset(self, key, params):
        x, obs = super().reset(key, params)
        return x[None], obs

    def step(self, key, state, action, params):
        _, out = super().step(key, state[0], action, params)
        return jnp.append(state, out.obs), out


class OtherObservation(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, out._replace(obs={"x": out.obs})


class FloatEnd(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, out._replace(terminated=out.terminated.astype(jnp.float32))


class NoStep(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, tuple(out)


class BatchedReward(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, out._replace(reward=out.reward[None])


class LeavesSpace(Good):
    @property
    def observation_space(self):
        return Box(-2.0, 2.0, (1,))


class OtherShape(Good):
    @property
    def observation_space(self):
        return Box(-9.0, 9.0, (2,))


class InfiniteReward(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, out._replace(reward=jnp.where(x > 1, jnp.inf, out.reward))


class KeyInState(Good):
    def reset(self, key, params):
        x, obs = super().reset(key, params)
        return (x, key), obs

    def step(self, key, state, action, params):
        x, out = super().step(state[1], state[0], action, params)
        return (x, key), out


class HardCodedFloat(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, out._replace(reward=out.reward.astype(jnp.float32))


class LeaksDouble(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, out._replace(info={"square": out.reward * np.ones(())})


class LongIntegers(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, out._replace(info={"square": jnp.argmax(jnp.stack([x, -x]))})


class CountsTime(Good):
    def reset(self, key, params):
        x, obs = super().reset(key, params)
        return (x, integer(0)), obs

    def step(self, key, state, action, params):
        x, out = super().step(key, state[0], action, params)
        end = out.terminated | (state[1] + 1 >= params.limit)
        return (x, state[1] + 1), out._replace(terminated=end)


class ResetsItself(Good):
    def step(self, key, state, action, params):
        k_step, k_reset = jax.random.split(key)
        x, out = super().step(k_step, state, action, params)
        fresh, obs = self.reset(k_reset, params)
        x = jnp.where(out.terminated, fresh, x)
        return x, out._replace(obs=jnp.where(out.terminated, obs, out.obs))


class Bookkeeping(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, out._replace(info={"episode_return": out.reward})


class ListInfo(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, out._replace(info=[out.reward])


CALLS = []


class ChangingInfo(Good):
    def step(self, key, state, action, params):
        CALLS.append(0)
        x, out = super().step(key, state, action, params)
        return x, out._replace(info={"square": x} if len(CALLS) % 2 else {})


class HostRandomness(Good):
    def step(self, key, state, action, params):
        x, out = super().step(key, state, action, params)
        return x, out._replace(reward=out.reward * np.random.default_rng().random())


class MutatesItself(Good):
    def step(self, key, state, action, params):
        object.__setattr__(self, "calls", getattr(self, "calls", 0) + 1)
        return super().step(key, state, action, params)


class OnlyState(Good):
    def reset(self, key, params):
        return super().reset(key, params)[0]


class OnlyStep(Good):
    def step(self, key, state, action, params):
        return super().step(key, state, action, params)[1]


class NumberAsLimit(Good):
    def time_limit(self, params):
        return 50


class FloatLimit(Good):
    def time_limit(self, params):
        return params.limit * 1.0


class NegativeLimit(Good):
    def default_params(self):
        return super().default_params()._replace(limit=integer(0))


class PlotsOnTheHost(Good):
    def render(self, state, params):
        return np.full((4, 4, 3), int(state), np.uint8)


class GreyPicture(Good):
    def render(self, state, params):
        return jnp.zeros((4, 4), jnp.uint8)


class FloatPicture(Good):
    def render(self, state, params):
        return jnp.full((4, 4, 3), state)


class WideReward(Good):
    def reward(self, params, state, action, next_state):
        return next_state[None] ** 2


class OtherTask(Good):
    def sample_params(self, key):
        return self.default_params()._replace(edge=jax.random.normal(key, (2,)))


BROKEN = [
    (NumberAsLimit(), r"capabilities: time_limit returns int, not int32\[\]"),
    (FloatLimit(), r"capabilities: time_limit returns float32\[\], not int32\[\]"),
    (NegativeLimit(), "capabilities: time_limit is 0; an episode has at least one step"),
    (PlotsOnTheHost(), r"capabilities: render cannot be compiled \(Concretization"),
    (GreyPicture(), r"capabilities: render returns uint8\[4, 4\], not a picture uint8\[H, W, 3\]"),
    (FloatPicture(), r"capabilities: render returns float32\[4, 4, 3\], not a picture"),
    (WideReward(), r"capabilities: reward returns float32\[1\], not float32\[\] as step does"),
    (OtherTask(), "capabilities: sample_params and default_params differ in structure or shapes"),
    (OnlyState(), r"stable_state: reset returns \w+, not \(state, observation\)"),
    (OnlyStep(), r"stable_state: step returns Step, not \(state, Step\)"),
    (NotFrozen(), "static_fields: is not a frozen dataclass"),
    (HoldsArray(), "static_fields: field table holds an array"),
    (Unhashable(), "static_fields: is not hashable"),
    (ByIdentity(), "static_fields: does not compare by value"),
    (PythonNumber(), r"static_fields: Params\.drift is float, not an array"),
    (Branches(), "static_fields: step needs a concrete number"),
    (UnusedLeaf(), r"no_derived_params: Params\.half changes nothing"),
    (WeakParams(), r"stable_state: Params\.drift is weakly typed"),
    (WeakState(), r"stable_state: the state goes from weakly typed float32\[\] to float32\[\]"),
    (GrowingState(), r"stable_state: the state goes from float32\[1\] to float32\[2\]"),
    (OtherObservation(), "stable_state: the observation changes structure"),
    (FloatEnd(), r"stable_state: terminated is float32\[\], not bool\[\]"),
    (NoStep(), "stable_state: step returns tuple"),
    (BatchedReward(), r"single_env: reward has shape \(1,\), not \(\)"),
    (Good(reward_dim=2), r"single_env: reward has shape \(\), not \(2,\)"),
    (LeavesSpace(), "single_env: an observation left observation_space"),
    (OtherShape(), r"single_env: an observation is float32\[1\], which is not in Box"),
    (InfiniteReward(), "single_env: a reward was not finite"),
    (KeyInState(), r"typed_keys: the state\[1\] is a key"),
    (HardCodedFloat(), "dtypes: .*reward is float32 under enable_x64 with float64"),
    (LeaksDouble(), "dtypes: .*square'\\] is float64 under enable_x64 with float32"),
    (LongIntegers(), "dtypes: .*square'\\] is int64"),
    (CountsTime(), r"termination: Params\.limit sets the time limit and also terminates"),
    (ResetsItself(), "no_reset: step resets at a termination"),
    (Bookkeeping(), "info: info\\['episode_return'\\] is bookkeeping"),
    (ListInfo(), "info: info is list"),
    (ChangingInfo(), "info: the keys of info change"),
    (HostRandomness(), "purity: two traces differ"),
    (MutatesItself(), "purity: reset or step changes the environment object"),
]


def test_the_unbroken_environment_passes():
    check_env(Good())


@pytest.mark.parametrize(("env", "sentence"), BROKEN, ids=[type(env).__name__ for env, _ in BROKEN])
def test_broken(env, sentence):
    with pytest.raises(UsageError, match=sentence) as error:
        check_env(env)
    assert "\n" not in str(error.value)


def test_derived_leaf():
    """As in gymnax's CartPole: the total mass is a leaf, so that changing a mass changes nothing."""

    class Derived(NamedTuple):
        masscart: jax.Array
        masspole: jax.Array
        total_mass: jax.Array

    class DerivedMass(CartPole):
        def default_params(self):
            return Derived(real(1.0), real(0.1), real(1.1))

        def time_limit(self, params):
            return integer(500)

        def reward(self, params, state, action, next_state):
            return real(1.0)

        def step(self, key, state, action, params):
            full = CartPole().default_params()
            full = full._replace(masscart=params.total_mass - params.masspole, masspole=params.masspole)
            return super().step(key, state, action, full)

        def reset(self, key, params):
            return super().reset(key, CartPole().default_params())

    with pytest.raises(UsageError, match=r"no_derived_params: Params\.masscart changes nothing"):
        check_env(DerivedMass(), skip=("dtypes",))


def test_inert_and_skip():
    check_env(UnusedLeaf(), inert=("half",))
    check_env(HardCodedFloat(), skip=("dtypes",))
