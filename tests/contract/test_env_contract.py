"""Every environment of the catalogue, and every wrapper around some of them, keeps the rules E1 to E12."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.base import (
    CAPABILITIES,
    Finite,
    HasItem,
    HasTimeLimit,
    Renders,
    RewardFn,
    SamplesParams,
    Scripted,
)
from jaxrl.envs.catalogue import catalogue
from jaxrl.envs.check import check_env
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.mountain_car import MountainCarContinuous
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.grids.gridworld import GridWorld, RandomGridWorld
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.grids.resource_gathering import ResourceGathering
from jaxrl.envs.sets.coverage import Coverage
from jaxrl.envs.sets.facility_location import FacilityLocation
from jaxrl.envs.sets.log_det import LogDet
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.accrued import accrued
from jaxrl.envs.wrappers.action_repeat import action_repeat
from jaxrl.envs.wrappers.clip_action import clip_action
from jaxrl.envs.wrappers.discretise import discretise
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.flatten_obs import flatten_obs
from jaxrl.envs.wrappers.history import history
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.envs.wrappers.prefer import prefer
from jaxrl.envs.wrappers.resample_task import resample_params
from jaxrl.envs.wrappers.rescale_obs import rescale_obs
from jaxrl.envs.wrappers.scalarise import scalarise
from jaxrl.envs.wrappers.set_reward import set_reward
from jaxrl.envs.wrappers.with_reward import with_reward


def distance(params, state, action, next_state):
    return -((next_state.x - params.reward) ** 2)


def origin():
    return jnp.zeros((), jnp.result_type(float))


def twice(params, state, action, next_state):
    return jnp.stack([next_state.theta, next_state.theta_dot])


TABLE = Tabular(4, 3)
# the state is chosen by the policy, the tables' rewards are replaced
UNREAD = ("gamma", ".R")
WRAPPED = [
    (finite_horizon(CartPole(), 20), ()),
    (finite_horizon(CartPole(), 20, one_hot=True), ()),
    (observe_time(CartPole()), ()),
    (observe_time(TABLE, 0.01), ("gamma",)),
    (history(finite_horizon(TABLE, 6), 4, observe=True), ("gamma",)),
    (history(CartPole(), 3, of=lambda params, state: jnp.int32(state.x > 0)), ()),
    (with_reward(CartPole(), distance, init=origin), ()),
    (with_reward(Pendulum(), twice, dim=2), ()),
    (prefer(DeepSeaTreasure()), ()),
    (scalarise(DeepSeaTreasure(), (0.3, 0.7)), ()),
    (scalarise(ResourceGathering(), [1, 1, 1]), ()),
    (accrued(DeepSeaTreasure(float_state=True), jnp.min, 0.9), ()),
    (accrued(ResourceGathering(), jnp.sum), ()),
    (action_repeat(CartPole(), 3), ()),
    (discretise(Pendulum(), 5), ()),
    (clip_action(MountainCarContinuous()), ("goal_velocity",)),
    (flatten_obs(finite_horizon(LinearMixture(3, 2, 2), 5)), ()),
    (rescale_obs(Pendulum()), ()),
    (resample_params(finite_horizon(TABLE, 6)), ()),
    (set_reward(finite_horizon(TABLE, 6), Coverage(4), show_stat=True), UNREAD),
    (set_reward(TABLE, FacilityLocation(4)), UNREAD),
    (set_reward(history(TABLE, 2), Modular(4)), UNREAD),
    (flatten_obs(set_reward(finite_horizon(TABLE, 6), LogDet(4, 7), show_stat=True)), UNREAD),
]

# one level distribution per program; the others differ from them in tables that test_gridworld checks
FAST = {"GridWorld-small", "GridWorld-mazes", "GridWorld-rand_small"}
# likewise other sizes and switches, compared with other libraries step by step in tests of their own
ALIKE = {"FruitTree-5", "FruitTree-7", "Minecart-deterministic", "Building-9"}
# other lengths and switches of one program, whose episodes are written out in its own tests
ALIKE |= {"DelayedChain-long", "DelayedChain-noisy", "DelayedChain-noisy-distractor"}


def row(name, entry):
    slow = name in ALIKE or (name.startswith("GridWorld-") and name not in FAST)
    return pytest.param(entry, id=name, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize("entry", [row(*item) for item in catalogue().items()])
def test_catalogue(entry):
    check_env(entry.make(), inert=entry.inert)


@pytest.mark.parametrize(("env", "inert"), WRAPPED, ids=[env.name for env, _ in WRAPPED])
def test_wrapped(env, inert):
    check_env(env, inert=inert)


GRID = GridWorld(LEVELS["debug"])  # has every capability
ALL = set(CAPABILITIES)
HIDDEN = [
    (finite_horizon(GRID, 5), set()),
    (observe_time(GRID), set()),
    (flatten_obs(GRID), set()),
    (with_reward(GRID, lambda p, s, a, n: p.reward[0]), set()),
    (history(GRID, 3), {Finite}),
    (set_reward(GRID, Coverage(16)), {Finite, RewardFn}),
    (action_repeat(GRID, 2), {Finite, RewardFn, Scripted}),
    (resample_params(GRID), {SamplesParams, Finite}),
    (finite_horizon(observe_time(GRID), 5), set()),
    (set_reward(history(finite_horizon(GRID, 5), 3), Coverage(16)), {Finite, RewardFn}),
]


@pytest.mark.parametrize(("env", "hidden"), HIDDEN, ids=[env.name for env, _ in HIDDEN])
def test_isinstance_tells_what_a_wrapper_can_do(env, hidden):
    assert {c for c in CAPABILITIES if isinstance(GRID, c)} == ALL
    assert {c for c in CAPABILITIES if isinstance(env, c)} == ALL - hidden


def test_wrappers_invent_no_capability():
    assert {c for c in CAPABILITIES if isinstance(CartPole(), c)} == {HasTimeLimit, RewardFn}
    for env in (finite_horizon(CartPole(), 5), observe_time(CartPole()), flatten_obs(CartPole())):
        assert {c for c in CAPABILITIES if isinstance(env, c)} == {HasTimeLimit, RewardFn}
    assert not isinstance(finite_horizon(TABLE, 5), HasTimeLimit)
    assert not isinstance(resample_params(TABLE), HasTimeLimit)
    assert {c for c in CAPABILITIES if isinstance(scalarise(DeepSeaTreasure(), (1, 1)), c)} == {
        HasTimeLimit, Finite, RewardFn, Renders, HasItem,
    }  # fmt: skip
    assert isinstance(with_reward(RandomGridWorld(LEVELS["debug"]), lambda *_: 0.0), RewardFn)


@pytest.mark.parametrize("env", [env for env, _ in HIDDEN], ids=[env.name for env, _ in HIDDEN])
def test_forwarded_capabilities_answer_as_the_inner_environment(env, grid_params):
    layers = [env]
    while layers[-1] is not GRID:
        layers.append(layers[-1].env)
    params = grid_params
    for layer in reversed(layers[:-1]):
        params = layer.default_params() if isinstance(layer, resample_params) else layer.extend(params)

    state, _ = env.reset(jax.random.key(1), params)
    inner, grid = state, params
    for layer in layers[:-1]:
        task = (inner.env, inner.task) if isinstance(layer, resample_params) else None
        inner, grid = task or (layer.inner_state(inner), layer.inner_params(grid))
    compared = 0
    if isinstance(env, Renders):
        np.testing.assert_array_equal(env.render(state, params), GRID.render(inner, grid))
        compared += 1
    if isinstance(env, HasItem):
        assert env.item(params, state) == GRID.item(grid, inner)
        compared += 1
    if isinstance(env, HasTimeLimit):
        limit = int(GRID.time_limit(grid_params))
        # action_repeat counts its own steps, two of the grid's each
        assert env.time_limit(params) == (-(-limit // 2) if isinstance(env, action_repeat) else limit)
        compared += 1
    if isinstance(env, Finite):
        index = env.state_index(params, state)
        assert index == GRID.state_index(grid, inner)
        assert env.state_index(params, env.state_at(params, index)) == index
        compared += 1
    if isinstance(env, SamplesParams):
        sampled = jax.eval_shape(env.sample_params, jax.random.key(0))
        assert jax.tree.map(jnp.shape, sampled) == jax.tree.map(jnp.shape, params)
        compared += 1
    assert compared >= 3


@pytest.fixture(scope="module")
def grid_params():
    return GRID.default_params()


def test_wrappers_compare_by_value_and_copy():
    import copy
    import dataclasses

    one, two = finite_horizon(CartPole(), 5), finite_horizon(CartPole(), 5)
    assert one == two and hash(one) == hash(two) and one != finite_horizon(CartPole(), 6)
    assert copy.deepcopy(one) == one
    # a copy around another environment has that environment's capabilities
    other = dataclasses.replace(one, env=TABLE)
    assert isinstance(other, Finite) and not isinstance(other, HasTimeLimit)
    assert other == finite_horizon(TABLE, 5)
