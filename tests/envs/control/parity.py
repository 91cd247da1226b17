"""Classic control against gymnasium by state injection, at boundaries and for changed constants too."""

import math

import gymnasium
import jax
import numpy as np
import pytest

from jaxrl.envs.control.acrobot import Acrobot, AcrobotState
from jaxrl.envs.control.cartpole import CartPole, CartPoleState
from jaxrl.envs.control.mountain_car import MountainCar, MountainCarContinuous, MountainCarState
from jaxrl.envs.control.pendulum import Pendulum, PendulumState

PI = math.pi
# environment, state, gymnasium id, ranges of random states, actions, attribute of each leaf in gymnasium
CASES = {
    "CartPole": (
        CartPole(), CartPoleState, "CartPole-v1",
        [(-3, 3), (-4, 4), (-0.3, 0.3), (-4, 4)],
        dict(gravity="gravity", masscart="masscart", masspole="masspole", length="length",
             force_mag="force_mag", tau="tau", x_threshold="x_threshold",
             theta_threshold="theta_threshold_radians"),
    ),
    "Pendulum": (
        Pendulum(), PendulumState, "Pendulum-v1",
        [(-8, 8), (-8, 8)],
        dict(gravity="g", mass="m", length="l", dt="dt", max_speed="max_speed", max_torque="max_torque"),
    ),
    "MountainCar": (
        MountainCar(), MountainCarState, "MountainCar-v0",
        [(-1.2, 0.6), (-0.07, 0.07)],
        dict(force="force", gravity="gravity", min_position="min_position", max_position="max_position",
             max_speed="max_speed", goal_position="goal_position", goal_velocity="goal_velocity"),
    ),
    "MountainCarContinuous": (
        MountainCarContinuous(), MountainCarState, "MountainCarContinuous-v0",
        [(-1.2, 0.6), (-0.07, 0.07)],
        dict(force="power", min_position="min_position", max_position="max_position", max_speed="max_speed",
             goal_position="goal_position", goal_velocity="goal_velocity"),
    ),
    "Acrobot": (
        Acrobot(), AcrobotState, "Acrobot-v1",
        [(-PI, PI), (-PI, PI), (-4 * PI, 4 * PI), (-9 * PI, 9 * PI)],
        dict(mass_1="LINK_MASS_1", mass_2="LINK_MASS_2", length_1="LINK_LENGTH_1", com_1="LINK_COM_POS_1",
             com_2="LINK_COM_POS_2", moment="LINK_MOI", dt="dt", max_speed_1="MAX_VEL_1",
             max_speed_2="MAX_VEL_2"),
    ),
}  # fmt: skip
# states at which an end, a clip or a wall is a rounding error away
EDGES = {
    "CartPole": [(2.4, 0, 0, 0), (-2.4, 0, 0, 0), (2.4, 0.001, 0, 0), (0, 0, 12 * PI / 180, 0),
                 (0, 0, 0.2095, 0), (0, 0, -0.2095, 0), (2.39, 1, 0.2, 1)],
    "Pendulum": [(PI, 8), (-PI, -8), (3 * PI, 0), (0, 8), (0, 0)],
    "MountainCar": [(-1.2, -0.07), (-1.2, 0.0), (-1.1999, -0.01), (0.5, 0.01), (0.4999, 0.05), (0.6, 0.07)],
    "MountainCarContinuous": [(-1.2, -0.07), (-1.19, -0.02), (0.45, 0.01), (0.4499, 0.05), (0.6, 0.07)],
    "Acrobot": [(PI, 0, 0, 0), (-PI, 0, 0, 0), (3.1, 3.1, 12, 28), (-3.1, -3.1, -12, -28), (2, 0, 0, 0)],
}  # fmt: skip


def pairs(name, n, dtype):
    """Random states and actions `[n, ...]`, the edges among them with every action."""
    env, _, _, ranges, _ = CASES[name]
    rng = np.random.default_rng(0)
    low, high = np.array(ranges).T
    if name == "Acrobot" and dtype == np.float32:
        high = high / np.array([1, 1, 4, 4])  # at top speed one step amplifies rounding beyond 1e-5
        low = -high
    states = rng.uniform(low, high, (n, len(ranges))).astype(dtype)
    discrete = hasattr(env.action_space, "n")
    actions = rng.integers(env.action_space.n, size=n) if discrete else rng.uniform(-2.5, 2.5, (n, 1))
    actions = actions.astype(np.int32 if discrete else dtype)
    options = list(range(env.action_space.n)) if discrete else [[-2.5], [-1.0], [0.0], [1.0], [2.5]]
    rows = [(s, a) for s in EDGES[name] for a in options]
    states[: len(rows)] = [s for s, _ in rows]
    actions[: len(rows)] = [a for _, a in rows]
    return states, actions


def compare(name, n, dtype, tolerance, **changed):
    """`n` pairs; both sides get the constants that `dtype` can hold, so that thresholds are equal."""
    env, State, gym_id, _, attributes = CASES[name]
    params = jax.tree.map(np.asarray, env.default_params())._replace(**changed)
    host = gymnasium.make(gym_id).unwrapped
    host.reset(seed=0)
    for leaf, attribute in attributes.items():
        setattr(host, attribute, float(getattr(params, leaf)))
    if name == "CartPole":  # gymnasium stores what it derives
        host.total_mass = host.masspole + host.masscart
        host.polemass_length = host.masspole * host.length

    states, actions = pairs(name, n, dtype)
    step = jax.jit(jax.vmap(env.step, (None, 0, 0, None)))
    after, out = jax.tree.map(np.asarray, step(jax.random.key(0), State(*states.T), actions, params))
    assert after[0].dtype == out.obs.dtype == out.reward.dtype == dtype
    ends = 0
    for i, (state, action) in enumerate(zip(states.astype(np.float64), actions, strict=True)):
        host.state, host.steps_beyond_terminated = np.array(state), None
        obs, reward, terminated, _, _ = host.step(action if action.ndim else int(action))
        theirs = np.asarray(host.state, np.float64)
        ours = np.array([leaf[i] for leaf in after])
        if name == "Acrobot":  # one angle may be written as pi or as -pi
            ours[:2] += np.round((theirs[:2] - ours[:2]) / (2 * PI)) * 2 * PI
        bound = tolerance * max(1, np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound, err_msg=f"{state} {action}")
        np.testing.assert_allclose(out.obs[i], obs, rtol=0, atol=max(bound, 2e-6))  # gymnasium: float32
        assert out.reward[i] == pytest.approx(float(reward), rel=tolerance, abs=tolerance)
        assert bool(out.terminated[i]) == terminated, (state, action)
        ends += terminated
    return ends


def check_steps(name):
    """A thousand random pairs in float32, and how many of them end."""
    ends = compare(name, 1000, np.float32, 1e-5)
    assert name == "Pendulum" or 20 < ends < 980


def check_steps_in_float64(name):
    """Three hundred random pairs, to eleven digits."""
    with jax.enable_x64(True):
        compare(name, 300, np.float64, 1e-7 if name == "MountainCarContinuous" else 1e-11)


def check_constants(name):
    """No leaf is derived from others: what gymnasium derives is derived again."""
    env, *_, attributes = CASES[name]
    with jax.enable_x64(True):
        for leaf in attributes:
            value = 0.8 * np.asarray(getattr(env.default_params(), leaf)) + 0.01 * (leaf == "goal_velocity")
            compare(name, 60, np.float64, 1e-7 if name == "MountainCarContinuous" else 1e-11, **{leaf: value})


def check_limit_and_start(name):
    """The time limit, and the distribution of the first observation."""
    env, _, gym_id, *_ = CASES[name]
    params = env.default_params()
    assert int(env.time_limit(params)) == gymnasium.spec(gym_id).max_episode_steps
    host = gymnasium.make(gym_id).unwrapped
    theirs = np.array([host.reset(seed=seed)[0] for seed in range(300)])
    ours = np.asarray(
        jax.jit(jax.vmap(lambda k: env.reset(k, params)[1]))(jax.random.split(jax.random.key(0), 300))
    )
    # both are uniform: equal ranges, and means within 4 standard errors
    span = theirs.max(0) - theirs.min(0)
    np.testing.assert_allclose(ours.max(0), theirs.max(0), atol=0.03 * span.max())
    np.testing.assert_allclose(ours.min(0), theirs.min(0), atol=0.03 * span.max())
    error = 4 * np.sqrt(2) * theirs.std(0) / np.sqrt(300)
    assert (np.abs(ours.mean(0) - theirs.mean(0)) <= error + 1e-7).all()
