"""Set rewards: online = relabelled data = brute force over Python sets; gains telescope."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spaces
from jaxrl.core.errors import UsageError
from jaxrl.core.types import Policy
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.envs.coverage.place_grid import PlaceGrid
from jaxrl.envs.sets.coverage import Coverage, CoverageParams
from jaxrl.envs.sets.facility_location import FacilityLocation, similarities
from jaxrl.envs.sets.log_det import LogDet, kernel_params
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.sets.protocol import Visit
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.envs.wrappers.set_reward import TimedItems, relabel, set_episode, set_reward
from jaxrl.rollout.unroll import start, unroll

V, U, H = 6, 9, 7


RNG = np.random.default_rng(0)


COVERS, WEIGHT = RNG.random((V, U)) < 0.3, RNG.random(U)


SIMILARITY = RNG.random((V, U))


_A = RNG.normal(size=(V, 3))


KERNEL, NOISE = _A @ _A.T, 0.1


PLACES = RNG.random(V)


def brute_coverage(items):
    covered = {u for v in set(items) for u in range(U) if COVERS[v, u]}
    return sum(WEIGHT[u] for u in covered)


def brute_facility(items):
    return sum(max((SIMILARITY[v, u] for v in set(items)), default=0.0) for u in range(U))


def brute_log_det(items):
    sub = KERNEL[np.ix_(items, items)]
    return 0.5 * np.linalg.slogdet(np.eye(len(items)) + sub / NOISE)[1]


def f32(x):
    return jnp.asarray(x, jnp.result_type(float))


CASES = {
    "coverage": (Coverage(V, U), lambda: CoverageParams(jnp.asarray(COVERS), f32(WEIGHT)), brute_coverage),
    "facility": (FacilityLocation(V, U), lambda: similarities(SIMILARITY), brute_facility),
    "log_det": (LogDet(V, H + 1), lambda: kernel_params(KERNEL, NOISE), brute_log_det),
    "modular": (Modular(V), lambda: f32(PLACES), lambda items: sum(PLACES[v] for v in items)),
}


@pytest.mark.parametrize("name", CASES)
def test_fold_equals_brute_force(name):
    F, params, brute = CASES[name]
    with jax.enable_x64(True):
        params = params()
        add, gain, value = jax.jit(F.add), jax.jit(F.gain), jax.jit(F.value)
        for trial in range(20):
            items = np.random.default_rng(trial).integers(V, size=H + 1).astype(np.int32)
            stat = F.init(params)
            assert float(value(params, stat)) == 0
            for t, item in enumerate(items):
                expected = brute(items[: t + 1]) - brute(items[:t])
                assert float(gain(params, stat, item)) == pytest.approx(expected, abs=1e-10)
                stat, gained = add(params, stat, item)
                assert float(gained) == pytest.approx(expected, abs=1e-10)
                assert float(value(params, stat)) == pytest.approx(brute(items[: t + 1]), abs=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_online_equals_relabelled_equals_brute_force(name):
    """16 environments x 40 steps, several episodes each."""
    F, f_params, brute = CASES[name]
    inner = Tabular(V, 3)
    env = set_reward(finite_horizon(inner, H), F)
    mdp = random_mdp(jax.random.key(3), V, 3)
    params = env.default_params()
    params = params._replace(env=params.env._replace(env=mdp), F=f_params())
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))

    @jax.jit
    def run(key):
        k_start, k_run = jax.random.split(key)
        vec = start(env, policy, k_start, params, 16)
        _, out, stats = unroll(env, policy, vec, k_run, params, length=40)
        return out, stats, relabel(F, out, params.F, item=lambda obs: obs["obs"])

    out, stats, again = jax.tree.map(np.asarray, run(jax.random.key(0)))
    np.testing.assert_array_equal(out.reward, again)
    assert stats.count == 16 * (40 // H)
    for i in range(16):
        items, total = [int(out.obs["obs"][0, i])], 0.0
        for t in range(40):
            items.append(int(out.next_obs["obs"][t, i]))
            gain = brute(items) - brute(items[:-1])
            assert out.reward[t, i] == pytest.approx(gain, abs=2e-5 if name == "log_det" else 1e-6)
            total += float(out.reward[t, i])
            if out.done[t, i]:
                # sum of gains = F(trajectory) - F({s_0})
                tolerance = 5e-5 if name == "log_det" else 1e-6 * max(1, total)
                assert total == pytest.approx(brute(items) - brute(items[:1]), abs=2 * tolerance)
                items, total = [int(out.obs["obs"][t + 1, i])] if t < 39 else [], 0.0


def test_show_stat_shows_what_is_covered():
    env = set_reward(observe_time(Tabular(3, 2), 0.1), Coverage(3), show_stat=True)
    params = env.default_params()
    state, obs = env.reset(jax.random.key(0), params)
    item = int(state.env.env.s)
    assert np.asarray(obs["stat"]).tolist() == [float(i == item) for i in range(3)]
    assert obs["stat"].dtype == jnp.float32
    after, out = env.step(jax.random.key(1), state, jnp.int32(0), params)
    assert float(out.obs["stat"].sum()) == 1 + float(out.reward)
    assert float(after.env.elapsed) == 1


def test_set_function_weights_are_vmapped():
    """Two weightings of one trajectory in one program."""
    env = set_reward(Tabular(3, 2), Coverage(3))
    params = env.default_params()
    weights = jnp.array([[1.0, 1, 1], [0.5, 2, 3]])
    many = params._replace(F=params.F._replace(weight=weights))
    axes = jax.tree.map(lambda _: None, params)._replace(F=CoverageParams(None, 0))
    state, _ = env.reset(jax.random.key(0), params)
    step = jax.vmap(lambda p: env.step(jax.random.key(5), state, jnp.int32(1), p)[1].reward, (axes,))
    rewards = np.asarray(step(many))
    new = int(env.step(jax.random.key(5), state, jnp.int32(1), params)[0].env.s)
    gained = new != int(state.env.s)
    np.testing.assert_allclose(rewards, np.asarray(weights)[:, new] * gained)


def test_items_of_visits_count_the_steps():
    env = set_reward(TimedItems(PlaceGrid(2, 2), 3), _Pairs(4))
    params = env.default_params()
    state, _ = env.reset(jax.random.key(0), params)
    for h, action in enumerate((0, 1, 2), 1):
        state, out = env.step(jax.random.key(0), state, jnp.int32(action), params)
        item = env.item(params, state)
        assert isinstance(item, Visit) and int(item.h) == h
    assert float(out.info["F"]) == 1 + 2 + 3 and bool(out.terminated)


class _Pairs(Coverage):
    """Pays h for a visit at time h."""

    def gain(self, params, stat, item):
        return item.h.astype(params.weight.dtype)

    def add(self, params, stat, item):
        return stat | params.covers[item.v], self.gain(params, stat, item)

    def value(self, params, stat):
        return jnp.asarray(6.0)


class _Growing(Coverage):
    def add(self, params, stat, item):
        return jnp.append(stat, True), jnp.float32(0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: coverage_grid(states=1), "set_episode.states: must be >= 2"),
        (
            lambda: set_episode(PlaceGrid(2, 2), LogDet(4, 5), 6),
            "6 visited states, the first included, but F.capacity",
        ),
        (
            lambda: (env := set_reward(PlaceGrid(2, 2), _Growing(4))).reset(
                jax.random.key(0), env.default_params()
            ),
            "keep its shape",
        ),
        (lambda: set_reward(PlaceGrid(2, 2), object()), "SetReward.F: has no default_params"),
        (lambda: set_reward(Tabular(3, 2), Coverage(3), modular="yes"), "modular: must be True or False"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: set_reward(CartPole(), Coverage(3)),
            r"SetReward\.env: CartPole has no item",
        ),
        (
            lambda: set_reward(Tabular(3, 2), max),
            r"SetReward\.F: has no default",
        ),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
