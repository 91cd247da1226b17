"""Coverage of a square by a walking body: the patch by loops, the body by one compiled rollout."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spaces
from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box
from jaxrl.core.types import Policy, Step
from jaxrl.envs.coverage.ant_coverage import PatchCoverage, PerStep, ant_coverage
from jaxrl.rollout.unroll import Pool, start, unroll


def test_patches_against_a_loop():
    """Positions inside, at the upper sides, and outside, where indices must not wrap."""
    F = PatchCoverage(10, 3)
    params = F.default_params()
    rng = np.random.default_rng(0)
    positions = np.concatenate(
        [rng.uniform(-2, 2, (40, 2)), [[1.99, 1.99], [-5, 0.1], [0.1, 7], [-0.01, -0.01]]]
    )
    seen, add = set(), jax.jit(F.add)
    stat = F.init(params)
    for x, y in positions:
        i, j = (min(max(int(np.floor((z + 2) / 0.4)), 0), 9) for z in (x, y))
        cells = {(a, b) for a in range(i, i + 3) for b in range(j, j + 3) if a < 10 and b < 10}
        stat, gain = add(params, stat, jnp.array([x, y], jnp.float32))
        assert float(gain) == pytest.approx(0.1 * len(cells - seen), abs=1e-6)
        seen |= cells
    assert {tuple(x) for x in np.argwhere(np.asarray(stat))} == seen
    assert float(F.value(params, stat)) == pytest.approx(0.1 * len(seen), abs=1e-5)
    with pytest.raises(UsageError, match=r"PatchCoverage\.patch"):
        PatchCoverage(4, 5)


@dataclass(frozen=True)
class Crawl:
    """A point that crawls 0.4 m along x per step and falls at the third."""

    name: str = "Crawl"
    reward_dim: None = None
    observation_space: ClassVar[Box] = Box(-np.inf, np.inf, (2,))
    action_space: ClassVar[Box] = Box(-1.0, 1.0, (1,))

    def default_params(self):
        return jnp.float32(0.4)

    def reset(self, key, params):
        return jnp.full(2, params / 2), jnp.full(2, params / 2)

    def step(self, key, state, action, params):
        after = state.at[0].add(params)
        fell = after[0] > 3 * params
        return after, Step(after, jnp.float32(0), fell, {"unhealthy": fell})

    def item(self, params, state):
        return state


@pytest.mark.parametrize(("cumulative", "expected"), [(False, [2.5, 2.5, 0]), (True, [3, 3.5, 4])])
def test_pay_per_step(cumulative, expected):
    """25 cells of 0.1 while healthy, or all cells so far, 5 more each step; gains stay in info."""
    env = PerStep(Crawl(), PatchCoverage(), modular=True, cumulative=cumulative)
    params = env.default_params()
    state, _ = env.reset(jax.random.key(0), params)
    step, paid = jax.jit(env.step), []
    for _ in range(3):
        state, out = step(jax.random.key(0), state, jnp.zeros(1), params)
        paid.append(float(out.reward))
        assert float(out.info["gain"]) == pytest.approx(0.5, abs=1e-6)
    assert paid == pytest.approx(expected, abs=1e-5) and bool(out.terminated)


def test_modular_has_three_values():
    with pytest.raises(UsageError, match=r"ant_coverage\.modular: must be"):
        ant_coverage(modular="total")


@pytest.mark.slow
def test_ant():
    """64 bodies, 100 steps; 25 cells at each restart; ten times the reward is whole."""
    env = ant_coverage()
    params = env.default_params()
    params = params._replace(env=params.env._replace(env=params.env.env.replace(time_limit=jnp.int32(40))))
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))

    @jax.jit
    def run(key):
        k_start, k_run = jax.random.split(key)
        vec = start(env, policy, k_start, params, 64)
        _, out, _ = unroll(env, policy, vec, k_run, params, length=100, reset=Pool(8), keep=("F", "gain"))
        return vec.env_state.stat, out

    stat, out = jax.tree.map(np.asarray, run(jax.random.key(0)))
    assert np.all(stat.sum((1, 2)) == 25)
    assert out.obs.shape == (100, 64, 29) and np.all(np.isfinite(out.obs))
    whole = out.reward * 10
    assert np.abs(whole - np.round(whole)).max() < 1e-4 and whole.min() == 0 < whole.max()
    # telescoping from 2.5 at every restart
    value = np.full(64, 2.5)
    for t in range(100):
        value = value + out.reward[t]
        np.testing.assert_allclose(out.info["F"][t], value, atol=1e-4)
        value = np.where(out.terminated[t] | out.truncated[t], 2.5, value)
    assert out.truncated.sum() >= 64 and isinstance(ant_coverage(modular=True), PerStep)
    np.testing.assert_allclose(out.obs[0, :, :2], out.obs[0, :, :2].clip(-0.2, 0.2))


@pytest.mark.slow
def test_leaving_the_square_is_the_end():
    env = ant_coverage()
    params = env.default_params()
    state, _ = jax.jit(env.reset)(jax.random.key(0), params)
    step = jax.jit(env.step)
    action = jnp.zeros(8)
    _, out = step(jax.random.key(0), state, action, params)
    assert not bool(out.terminated)
    small = params._replace(env=params.env._replace(half=jnp.float32(1e-6)))
    _, out = step(jax.random.key(0), state, action, small)
    assert bool(out.terminated)
