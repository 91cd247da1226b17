"""Minecart against MO-Gymnasium: published traces, injected states, and random walks."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtri

from jaxrl.envs.catalogue import make
from jaxrl.envs.control.minecart import ACCELERATE, MINE, NONE, Minecart, MinecartState

TRACES = {
    "one ore": (
        [2, 3, *[5] * 6, 4, 0, *[2] * 4, *[3] * 3, 5],
        (0.8, 0, -0.02),
        (0.5674574, 0, -0.7912151),
        (9, (0.069289, 0.791975, 0, 0.996195, 0.087156, 0, 0)),
        (0.026467, 0.130820, 0.077792, -0.996195, 0.087156, 0, 0),
    ),
    "both ores": (
        [3, 3, *[5] * 4, 4, 0, *[2] * 4, *[3] * 3, 5, 5, 3, 5, 5],
        (0.75, 0.75, -0.02),
        (0.5109245, 0.5109245, -1.0056874),
        (10, (0.869741, 0.869741, 0, 0.819152, -0.573576, 0.5, 0.5)),
        (0.016483, 0.125281, 0.031520, -0.996195, 0.087156, 0, 0),
    ),
}
ids = {False: "minecart-v0", True: "minecart-deterministic-v0"}


@pytest.fixture(scope="module")
def mo_gymnasium():
    return pytest.importorskip("mo_gymnasium")


def walks(actions, dtype):
    """Observations `[N, T, 7]`, rewards `[N, T, 3]` and ends `[N, T]` of actions `[N, T]`, without noise."""
    env = Minecart(deterministic=True)
    params = jax.tree.map(
        lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, env.default_params()
    )

    def walk(actions):
        def body(state, action):
            state, out = env.step(jax.random.key(0), state, action, params)
            return state, (out.obs, out.reward, out.terminated)

        return jax.lax.scan(body, env.reset(jax.random.key(0), params)[0], actions)[1]

    return jax.tree.map(np.asarray, jax.jit(jax.vmap(walk))(jnp.asarray(actions, jnp.int32)))


@pytest.mark.parametrize("wide", [False, True])
def test_published_traces(wide):
    padded = [actions + [NONE] * (20 - len(actions)) for actions, *_ in TRACES.values()]
    with jax.enable_x64(wide):
        found = walks(padded, np.float64 if wide else np.float32)
    for i, (actions, last, discounted, (k, obs_k), obs_end) in enumerate(TRACES.values()):
        obs, reward, ended = (x[i, : len(actions)] for x in found)
        assert np.flatnonzero(ended).tolist() == [len(actions) - 1]
        np.testing.assert_allclose(reward[-1], last, atol=1e-6)
        np.testing.assert_allclose(0.98 ** np.arange(len(actions)) @ reward, discounted, atol=1e-6)
        np.testing.assert_allclose(obs[k - 1], obs_k, atol=1.1e-6)
        np.testing.assert_allclose(obs[-1], obs_end, atol=1.1e-6)


def injected(n, deterministic):
    """States, actions and quantiles `[n, ...]`: near mines, on walls, home and on the way, slow and fast."""
    rng = np.random.default_rng(0)
    mines = np.array(Minecart().default_params().mines, float)
    position = rng.random((n, 2))
    position[: n // 3] = np.clip(mines[rng.integers(5, size=n // 3)] + rng.normal(0, 0.1, (n // 3, 2)), 0, 1)
    walls = slice(n // 3, n // 2)
    position[walls, 0] = rng.integers(2, size=n // 2 - n // 3)
    position[n // 2 : 2 * n // 3] *= 0.2
    rows = np.arange(n)
    position[rows[walls][::2]] = position[rows[walls][::2], ::-1]
    speed = rng.choice([0, 0.0005, 0.0075, 0.03, 0.3], n)
    angle = 45 + 10 * rng.integers(-6, 37, n)
    content = rng.choice([0, 0.4, 0.7], (n, 2))
    departed = rng.random(n) < 0.7
    action = np.where(rng.random(n) < 0.5, MINE, rng.integers(6, size=n))
    u = rng.random((n, 0) if deterministic else (n, 4, 2))
    state = MinecartState(*position.T, speed, angle.astype(np.int32), *content.T, departed)
    return state, action.astype(np.int32), u


@pytest.mark.parametrize("deterministic", [False, True])
def test_injected_states_equal_mo_gymnasium(mo_gymnasium, deterministic):
    env, spec = Minecart(deterministic), mo_gymnasium.make(ids[deterministic])
    host = spec.unwrapped
    host.reset()
    n = 600
    states, actions, u = injected(n, deterministic)
    with jax.enable_x64(True):
        params = env.default_params()
        assert int(env.time_limit(params)) == spec.spec.max_episode_steps
        step = jax.jit(jax.vmap(env.step_u, (0, 0, 0, None)))
        after, out = jax.tree.map(np.asarray, step(states, actions, u, params))
    before, content = np.stack([states.ore_1, states.ore_2], 1), np.stack([after.ore_1, after.ore_2], 1)
    for i in range(n):
        cart, host.end = host.cart, False
        cart.pos, cart.speed = np.array([states.x[i], states.y[i]]), states.speed[i]
        cart.angle, cart.departed = int(states.angle[i]), bool(states.departed[i])
        cart.content = before[i].copy()
        if not deterministic:
            script(host, u[i])
        obs, reward, terminated, _, _ = host.step(int(actions[i]))
        np.testing.assert_allclose(out.obs[i], obs, atol=2e-7)
        np.testing.assert_allclose(out.reward[i], reward, atol=2e-7)
        np.testing.assert_allclose(content[i], cart.content, atol=1e-12)
        assert after.angle[i] == cart.angle and after.departed[i] == cart.departed
        assert out.terminated[i] == terminated
    assert 10 < out.terminated.sum() < n / 2
    mined = (content > before).any(1)
    turned = (after.angle - states.angle != 0) & (actions >= ACCELERATE)
    assert mined.sum() > 50 and turned.sum() > 10


def script(host, u):
    """Lets the mines of `host` yield the quantiles `u` float[4, 2], frame by frame."""
    frame, now = iter(range(4)), [0]

    def mine_of_frame():
        now[0] = next(frame)
        return type(host).mine(host)

    host.mine = mine_of_frame
    for mine in host.mines:
        mine.mine = lambda args=[x.args for x in mine.distributions]: [
            max(0.0, mean + std * ndtri(q)) for (mean, std), q in zip(args, u[now[0]], strict=True)
        ]


def host_walks(mo_gymnasium, actions):
    """Per walk, observations, rewards and ends of the package until the episode ends."""
    host = mo_gymnasium.make("minecart-deterministic-v0").unwrapped
    for row in actions:
        host.reset()
        obs, reward, ended = [], [], []
        for action in row:
            o, r, end, _, _ = host.step(int(action))
            obs.append(o)
            reward.append(r)
            ended.append(end)
            if end:
                break
        yield np.array(obs), np.array(reward), np.array(ended)


def share_of_equal_walks(mo_gymnasium, n=200, length=100):
    """Of `n` random walks, the share that stays within 1e-6 of the package, and whether the ends agree."""
    actions = np.random.default_rng(1).integers(6, size=(n, length))
    with jax.enable_x64(True):
        obs, reward, ended = walks(actions, np.float64)
    equal = []
    for i, (o, r, e) in enumerate(host_walks(mo_gymnasium, actions)):
        k = len(o)
        near = np.abs(obs[i, :k] - o).max() <= 1e-6 and np.abs(reward[i, :k] - r).max() <= 1e-6
        equal.append(near and np.array_equal(ended[i, :k], e))
    return np.mean(equal)


def test_random_walks_equal_mo_gymnasium(mo_gymnasium):
    # fused multiply-adds may move a cart off a wall by a rounding error
    assert share_of_equal_walks(mo_gymnasium) >= 0.95


@pytest.mark.slow
def test_all_random_walks_equal_mo_gymnasium_without_fused_multiply_add(mo_gymnasium):
    code = (
        "import mo_gymnasium\nfrom tests.envs.control import test_minecart as t\n"
        "print('share', t.share_of_equal_walks(mo_gymnasium))"
    )
    environment = {**os.environ, "XLA_FLAGS": "--xla_cpu_max_isa=AVX", "JAX_PLATFORMS": "cpu"}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "share 1.0" in done.stdout, done.stdout + done.stderr[-2000:]


def test_mining_fills_the_cart_and_no_more():
    env = make("Minecart")
    params = env.default_params()
    state, _ = env.reset(jax.random.key(0), params)
    x, y = params.mines[2]
    state = state._replace(x=x, y=y, departed=jnp.asarray(True))
    step = jax.jit(env.step)
    for i in range(4):
        state, out = step(jax.random.key(i), state, jnp.int32(MINE), params)
    assert state.ore_1 + state.ore_2 == pytest.approx(1.5, abs=1e-6)
    assert out.obs[5:].sum() == pytest.approx(1, abs=1e-6) and min(state.ore_1, state.ore_2) > 0.4
    np.testing.assert_allclose(out.reward, [0, 0, -0.22], atol=1e-7)


def test_picture_shows_base_mines_and_cart():
    env = Minecart()
    params = env.default_params()
    state, _ = env.reset(jax.random.key(0), params)
    state = state._replace(x=jnp.float32(0.5), y=jnp.float32(0.5), angle=jnp.int32(0))
    picture = np.asarray(env.render(state, params))

    def colour(x, y):
        return picture[round((y + 0.08) / 1.16 * 240), round((x + 0.08) / 1.16 * 240)].tolist()

    assert colour(0.05, 0.05) == [220, 90, 90] and colour(0.16, 0.84) == [110, 100, 95]
    assert colour(0.5, 0.5) == [45, 45, 50] and colour(0.3, 0.3) == [200, 200, 200]
    assert colour(0.46, 0.52) == [45, 45, 50] and colour(0.545, 0.52) == [200, 200, 200]  # the rear is wide
