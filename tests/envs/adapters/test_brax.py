"""brax adapter: parity with raw brax, parameters, ends of episodes; each program is compiled once."""

import copy
import logging
import sys
import warnings

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.core.tree import tree_broadcast, tree_stack
from jaxrl.core.types import Policy
from jaxrl.envs.adapters import brax as adapter
from jaxrl.envs.adapters.brax import BACKENDS, Brax, scale_mass
from jaxrl.envs.base import HasTimeLimit
from jaxrl.envs.check import check_env
from jaxrl.rollout.unroll import Pool, start, unroll

PENDULUM, HOPPER = Brax("inverted_pendulum", "spring"), Brax("hopper", "spring")
GAINS = np.asarray([0.183, 5.39, -0.059, -0.011], np.float32)  # random search: the pole stays up


def balance(key, obs, memory):
    return jnp.clip(obs @ GAINS, -1, 1)[None], (), memory


def trajectories(env):
    """Compiled `(params [P], actions [T, A]) -> (obs [P], Step [P, T])`, all from the same start."""

    def one(params, actions):
        state, obs = env.reset(jax.random.key(0), params)
        _, out = jax.lax.scan(lambda s, a: env.step(jax.random.key(0), s, a, params), state, actions)
        return obs, out

    return jax.jit(jax.vmap(one, (0, None)))


THRUST = jnp.concatenate([0.5 * jnp.sin(jnp.arange(8.0)), jnp.ones(12)])[:, None]


@pytest.fixture(scope="session")
def pendulum_masses():
    """`(obs, Step [4, 20])` under `THRUST`: masses times 1, 2, 4, then gravity that is no number."""
    params = PENDULUM.default_params()
    scaled = [scale_mass(PENDULUM, params, factor) for factor in (1.0, 2.0, 4.0)]
    broken = params.replace(gravity=params.gravity * jnp.nan)
    simulator = adapter._load("inverted_pendulum", "spring").simulator
    before = jax.tree.map(np.asarray, simulator.sys)
    out = trajectories(PENDULUM)(tree_stack([*scaled, broken]), THRUST)
    jax.tree.map(np.testing.assert_array_equal, before, jax.tree.map(np.asarray, simulator.sys))
    return jax.tree.map(np.asarray, out)


@pytest.fixture(scope="session")
def pendulum_run():
    """1005 balanced steps of two environments, the first with its own limit of 1000, the second with 7."""
    params = PENDULUM.default_params()
    limits = jnp.asarray([1000, 7])
    policy = Policy(balance)
    vec = start(PENDULUM, policy, jax.random.key(0), params, 2)
    run = jax.jit(
        lambda v, k, p: unroll(PENDULUM, policy, v, k, p, length=1005, limit=limits, reset=Pool(16))
    )
    return jax.tree.map(np.asarray, run(vec, jax.random.key(1), params)[1])


def perturbed(env):
    """`(names, params [1 + leaves])`: the defaults, then each float leaf scaled by 1.3."""
    params = env.default_params()
    leaves, treedef = jax.tree.flatten(params)
    names, variants = ["default"], [params]
    for i, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(params)):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            names.append(jax.tree_util.keystr(path))
            variants.append(treedef.unflatten([1.3 * x if i == j else x for j, x in enumerate(leaves)]))
    return names, tree_stack(variants)


def test_steps_equal_raw_brax(pendulum_masses):
    import brax.envs

    @jax.jit
    def raw_run():
        def step(state, action):
            state = raw.step(state, action)
            state = state.replace(reward=jnp.float32(state.reward), done=jnp.float32(state.done))
            return state, (state.obs, state.reward, state.done)

        first = raw.reset(jax.random.key(0))
        first = jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), first)
        return first.obs, jax.lax.scan(step, first, THRUST)[1]

    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = brax.envs.get_environment("inverted_pendulum", backend="spring")
        first, (obs, reward, done) = raw_run()
    adapted_first, out = pendulum_masses
    np.testing.assert_allclose(adapted_first[0], first, atol=1e-7)
    np.testing.assert_allclose(out.obs[0], obs, atol=1e-5)
    np.testing.assert_allclose(out.reward[0], reward, atol=1e-5)
    np.testing.assert_array_equal(out.terminated[0], np.asarray(done) > 0.5)
    assert out.terminated[0].any() and not out.terminated[0, :8].any()


def test_three_masses_give_three_trajectories(pendulum_masses):
    _, out = pendulum_masses
    speed = np.abs(out.obs[:3, 10, 2])  # of the cart, under full thrust
    assert speed[0] > 1.3 * speed[1] > 1.3 * 1.3 * speed[2] > 0


def test_numbers_that_are_not_finite_end_the_episode(pendulum_masses):
    _, out = pendulum_masses
    assert not out.info["non_finite"][:3].any() and out.info["non_finite"][3].all()
    assert out.terminated[3].all()
    np.testing.assert_array_equal(out.reward[3], np.zeros(20))
    np.testing.assert_array_equal(out.obs[3], np.zeros((20, 4)))


def test_masses_that_mean_nothing_are_refused():
    """brax raises the hopper's masses to the power 1 - spring_mass_scale = 0."""
    assert HOPPER.default_params().mass == ()
    with pytest.raises(UsageError, match=r"^scale_mass: hopper on spring ignores masses"):
        scale_mass(HOPPER, HOPPER.default_params(), 2.0)


def test_raw_done_never_is_a_time_limit(pendulum_run):
    assert isinstance(PENDULUM, HasTimeLimit)
    assert int(PENDULUM.time_limit(PENDULUM.default_params())) == 1000
    assert not pendulum_run.terminated.any()
    ends = np.flatnonzero(pendulum_run.truncated[:, 0])
    np.testing.assert_array_equal(ends, [999])
    np.testing.assert_array_equal(np.flatnonzero(pendulum_run.truncated[:, 1]), np.arange(6, 1005, 7))


def test_a_done_environment_restarts_from_the_pool(pendulum_run):
    t = np.flatnonzero(pendulum_run.truncated[:, 1])
    starts, before = pendulum_run.obs[t + 1, 1], pendulum_run.next_obs[t, 1]
    assert np.abs(starts).max() <= 0.01  # brax's initial distribution
    assert len(np.unique(starts, axis=0)) > 10
    inside = np.setdiff1d(np.arange(1004), t)
    np.testing.assert_array_equal(pendulum_run.next_obs[inside, 1], pendulum_run.obs[inside + 1, 1])
    assert (before != starts).any(axis=1).all()


def test_every_leaf_of_hopper_changes_its_trajectory():
    names, params = perturbed(HOPPER)
    actions = 0.8 * jnp.sin(jnp.arange(40.0)[:, None] * jnp.asarray([[0.3, 0.7, 1.1]]))
    _, out = trajectories(HOPPER)(params, actions)
    for i, name in enumerate(names[1:], start=1):
        assert np.abs(out.obs[i] - out.obs[0]).max() > 1e-4, name
    assert set(names[1:]) == {".damping", ".gear", ".friction", ".gravity"}


def test_scaled_inverse_weights_are_mujocos():
    env = Brax("inverted_pendulum", "mjx")
    factor = np.asarray([0.7, 1.6])
    params = jax.jit(lambda p, f: scale_mass(env, p, f))(env.default_params(), factor)
    model = copy.copy(adapter._load(env.name, env.backend).simulator.sys.mj_model)
    model.body_mass[1:] *= factor
    model.body_inertia[1:] *= factor[:, None]
    mujoco.mj_setConst(model, mujoco.MjData(model))
    np.testing.assert_allclose(params.mass, model.body_mass[1:], rtol=1e-6)
    np.testing.assert_allclose(params.inverse_weight[0], model.body_invweight0[1:], rtol=1e-5)
    np.testing.assert_allclose(params.inverse_weight[1], model.dof_invweight0, rtol=1e-5)
    assert scale_mass(PENDULUM, PENDULUM.default_params(), 2.0).inverse_weight == ()


@pytest.mark.parametrize("backend", BACKENDS)
def test_state_keeps_its_types(backend):
    env = Brax("inverted_pendulum", backend)
    params, action = env.default_params(), jnp.zeros(1)
    state, obs = jax.eval_shape(env.reset, jax.random.key(0), params)
    after, out = jax.eval_shape(env.step, jax.random.key(0), state, action, params)

    def described(tree):
        # leaves, because simulators keep arrays in dataclasses, which == does not compare
        return [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(tree)]

    assert jax.tree.structure(state) == jax.tree.structure(after)
    assert described(state) == described(after)
    assert described(out.obs) == described(obs) == [((4,), jnp.float32, False)]
    assert described(out.reward) == [((), jnp.float32, False)]
    assert described(out.terminated) == [((), jnp.bool_, False)]
    assert all(not x.weak_type for x in jax.tree.leaves(params))
    assert hash(env) == hash(Brax("inverted_pendulum", backend))


def test_first_use_inside_a_trace_leaves_no_tracer():
    adapter._build.cache_clear()
    inside = jax.jit(lambda k: PENDULUM.reset(k, PENDULUM.default_params())[1])(jax.random.key(3))
    outside = PENDULUM.reset(jax.random.key(3), PENDULUM.default_params())[1]
    np.testing.assert_allclose(inside, outside, atol=1e-7)


def test_spaces():
    assert HOPPER.observation_space.shape == (11,)
    assert HOPPER.action_space.shape == (3,)
    assert (HOPPER.action_space.low, HOPPER.action_space.high) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "backend", "message"),
    [
        ("hoper", "spring", "Brax.name: unknown 'hoper'; did you mean 'hopper'?"),
        ("hopper", "sprint", "Brax.backend: unknown 'sprint'; did you mean 'spring'?"),
        ("swimmer", "spring", "Brax.name: swimmer does not run"),
        ("xyz", "spring", "Brax.name: unknown 'xyz'; there are ant,"),
    ],
)
def test_refusals_name_the_field_and_the_choices(name, backend, message):
    with pytest.raises(UsageError, match="^" + message.replace("?", r"\?")):
        Brax(name, backend)


def test_missing_brax_is_told_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "brax.envs", None)
    with pytest.raises(MissingExtra, match="pip install brax"):
        adapter._import_quietly.__wrapped__()


def test_mujoco_speaks_to_the_logger_only(tmp_path, monkeypatch, caplog):
    """Loading half_cheetah makes MuJoCo warn about a deprecated attribute."""
    monkeypatch.chdir(tmp_path)
    adapter._import_quietly.__wrapped__()
    with caplog.at_level(logging.INFO, logger=adapter.__name__), warnings.catch_warnings():
        warnings.simplefilter("error")
        adapter._build.__wrapped__("halfcheetah", "spring", False)
    assert "settotalmass" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_contract():
    """All rules but `dtypes`: brax computes in the precision that jax is set to."""
    check_env(PENDULUM, inert=("friction",), skip=("dtypes",))


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_all_backends_run(backend):
    """At rest the pole stays up for a while, full thrust throws it over; the end is brax's own angle."""
    env = Brax("inverted_pendulum", backend)
    run, params = trajectories(env), tree_broadcast(env.default_params(), 1)
    _, idle = run(params, jnp.zeros((20, 1)))
    _, pushed = run(params, jnp.ones((20, 1)))
    assert not idle.terminated[0, :5].any()
    assert pushed.terminated[0].any()
    for out in (idle, pushed):
        expected = (np.abs(out.obs[0, :, 1]) > 0.2) | np.asarray(out.info["non_finite"][0])
        np.testing.assert_array_equal(out.terminated[0], expected)
