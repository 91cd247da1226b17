"""Vector rewards of brax bodies: numbers of mo-gymnasium's assembly, and physics that stay as they are."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Step
from jaxrl.envs.adapters.brax import Brax
from jaxrl.envs.adapters.brax_objectives import TASKS, Objectives, brax_objectives
from jaxrl.envs.check import check_env

# velocities, height of the torso - 1.25, sum of squared controls, and the rewards of mo-gymnasium 1.3.2 on
# MuJoCo after three steps of a constant action
PUBLISHED = {
    "hopper-3": (-0.023526, 0, -0.0053044, 0.14, (0.976474, 0.946956, 0.860000)),
    "hopper-2": (-0.023526, 0, -0.0053044, 0.14, (0.976334, 0.946816)),
    "ant-3": (-0.087414, -0.095117, 0, 0.08, (0.912586, 0.904883, 0.920000)),
    "ant-2": (-0.087414, -0.095117, 0, 0.08, (0.872586, 0.864883)),
    "humanoid-2": (0.001930, 0, 0, 0.17, (5.001930, 4.830000)),
    "halfcheetah-2": (0.335353, 0, 0, 0.24, (0.335353, -0.24)),
    "halfcheetah-2-v4": (0.335353, 0, 0, 0.24, (0.335353, -0.024)),
    "walker2d-2": (0.112862, 0, 0, 0.24, (1.112862, 0.76)),
}
BONUS = {"hopper-3": 1, "hopper-2": 1, "ant-3": 1, "ant-2": 1, "humanoid-2": 5, "walker2d-2": 1}


def emitted(task, terminated=False, non_finite=False, **options):
    """`Step` of the wrapper for a step of brax with the numbers above."""
    vx, vy, height, cost, _ = PUBLISHED[task]
    env = brax_objectives(task, **options)
    metric, weight = TASKS[task].cost
    metrics = {"x_velocity": vx, metric: -weight * cost} | ({"y_velocity": vy} if "ant" in task else {})
    info = jax.tree.map(jnp.float32, metrics) | {"non_finite": jnp.asarray(non_finite)}
    out = Step(jnp.zeros(3), jnp.float32(7), jnp.asarray(terminated), info)
    state = SimpleNamespace(x=SimpleNamespace(pos=jnp.array([[0, 0, 1.25 + height]])))
    after, found = env.advance(None, state, out, None)
    assert after is state and found.obs is out.obs and found.terminated is out.terminated
    return env, found


@pytest.mark.parametrize("task", TASKS)
def test_rewards_are_assembled_as_in_mo_gymnasium(task):
    env, out = emitted(task)
    assert out.reward.shape == (env.reward_dim,) and out.reward.dtype == jnp.float32
    np.testing.assert_allclose(out.reward, PUBLISHED[task][-1], atol=1e-6)
    assert out.info["scalar_reward"] == 7


@pytest.mark.parametrize("task", TASKS)
def test_the_failing_step_pays_the_bonus_in_the_older_version_alone(task):
    alive, old, new = (
        np.asarray(emitted(task, end, healthy=version)[1].reward)
        for end, version in ((False, "v5"), (True, "v4"), (True, "v5"))
    )
    np.testing.assert_array_equal(alive, old)
    np.testing.assert_allclose(old - new, BONUS.get(task, 0), atol=1e-6)


def test_numbers_that_are_not_finite_pay_nothing():
    _, out = emitted("hopper-3", non_finite=True)
    assert out.reward.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: brax_objectives("hoper-3"), r"task: 'hoper-3' does not exist; did you mean 'hopper-3'"),
        (lambda: brax_objectives("ant-2", "bullet"), r"Brax\.backend: unknown 'bullet'"),
        (lambda: brax_objectives("ant-2", healthy="v3"), r"Objectives\.healthy: must be one of 'v4', 'v5'"),
        (lambda: Objectives(Brax("ant", "spring"), "hopper-2"), r"hopper-2 needs the body hopper, got ant"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.slow
def test_physics_are_those_of_the_body_bit_for_bit():
    env, key = brax_objectives("hopper-3"), jax.random.key(0)
    assert int(env.time_limit(env.default_params())) == 500
    actions = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (40, 3)), jnp.float32)

    def run(env, params):
        def body(state, action):
            after, out = env.step(key, state, action, params)
            return after, (after, out)

        return jax.lax.scan(body, env.reset(key, params)[0], actions)[1]

    params = env.default_params()
    states, out = jax.jit(lambda p: run(env, p))(params)
    plain_states, plain = jax.jit(lambda p: run(env.env, p))(params)
    jax.tree.map(np.testing.assert_array_equal, states, plain_states)
    np.testing.assert_array_equal(out.obs, plain.obs)
    np.testing.assert_array_equal(out.terminated, plain.terminated)
    np.testing.assert_array_equal(out.info["scalar_reward"], plain.reward)
    cost = np.sum(np.asarray(actions) ** 2, axis=1)
    np.testing.assert_allclose(out.reward[:, 2], 1 - cost, atol=1e-5)
    np.testing.assert_allclose(out.reward[:, 1], 10 * (states.x.pos[:, 0, 2] - 1.25) + 1, atol=1e-5)
    np.testing.assert_allclose(out.reward[:, 0] - 1 - 1e-3 * cost + 1, plain.reward, atol=1e-5)


@pytest.mark.slow
def test_contract():
    """All rules but `dtypes`: brax computes in the precision that jax is set to."""
    check_env(brax_objectives("hopper-3"), inert=("friction",), skip=("dtypes",))
