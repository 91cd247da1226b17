"""The environment of a table against its tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import garnet, random_mdp, riverswim
from jaxrl.envs.tabular.mdp import (
    expected_reward,
    make_mdp,
    time_indexed,
)
from jaxrl.envs.tabular.tabular import Tabular, TabularState

SHAPES = [((4, 3), None), ((4, 3, 4), None), ((4, 3, 2), 2), ((4, 3, 4, 2), 2), ((4, 3, 4), 4)]


@pytest.mark.parametrize(("shape", "m"), SHAPES, ids=str)
@pytest.mark.parametrize("horizon", [None, 5])
def test_reward_tables_of_every_shape(shape, m, horizon):
    rng = np.random.default_rng(0)
    time = () if horizon is None else (horizon,)
    P, R = rng.random((*time, 4, 3, 4)), rng.random((*time, *shape))
    P /= P.sum(-1, keepdims=True)
    mdp = make_mdp(P, R, gamma=0.5, reward_dim=m)
    env = Tabular.of(mdp)
    assert (env.S, env.A, env.H, env.reward_dim) == (4, 3, horizon, m)
    on_successor = len(shape) - (m is not None) == 3
    mean = np.asarray(expected_reward(mdp))
    for h in range(horizon or 1):
        for s in range(4):
            for a in range(3):
                row, p = (R[h, s, a], P[h, s, a]) if horizon else (R[s, a], P[s, a])
                expected = sum(p[t] * row[t] for t in range(4)) if on_successor else row
                np.testing.assert_allclose(mean[h, s, a] if horizon else mean[s, a], expected, rtol=1e-5)
    state = TabularState(jnp.int32(2), jnp.int32(1))
    after, out = env.step(jax.random.key(0), state, jnp.int32(1), mdp)
    row = R[1, 2, 1] if horizon else R[2, 1]
    np.testing.assert_allclose(out.reward, row[int(after.s)] if on_successor else row, rtol=1e-6)
    assert out.reward.shape == (() if m is None else (m,))
    assert int(after.h) == (2 if horizon else 1)


def test_terminal_states_absorb_and_end():
    P = np.full((3, 2, 3), 1 / 3)
    mdp = make_mdp(P, np.ones((3, 2)), mu0=[0.5, 0.5, 0], terminal=[2])
    assert np.asarray(mdp.P[2]).tolist() == [[0, 0, 1]] * 2 and not np.asarray(mdp.R[2]).any()
    env = Tabular(3, 2)
    for u, s in ((0.1, 0), (0.5, 1), (0.9, 2)):
        after, out = env.step_u(env.state_at(mdp, 0), jnp.int32(0), jnp.float32(u), mdp)
        assert int(after.s) == int(out.obs) == s and bool(out.terminated) == (s == 2)
        assert float(out.reward) == 1


def test_time_indexed_tables_end_and_change_with_the_step():
    mdp = time_indexed(random_mdp(jax.random.key(0), 2, 1), 3)
    P = np.zeros((3, 2, 1, 2))
    P[0, :, :, 1], P[1, :, :, 0], P[2, :, :, 1] = 1, 1, 1
    mdp = mdp.replace(P=jnp.asarray(P, jnp.float32), R=jnp.arange(6.0).reshape(3, 2, 1))
    env = Tabular.of(mdp)
    state, obs = env.reset(jax.random.key(0), mdp.replace(mu0=jnp.array([1.0, 0.0])))
    trace = []
    for _ in range(3):
        state, out = env.step(jax.random.key(0), state, jnp.int32(0), mdp)
        trace.append((int(out.obs["obs"]), int(out.obs["h"]), float(out.reward), bool(out.terminated)))
    assert (int(obs["obs"]), int(obs["h"])) == (0, 0)
    assert trace == [(1, 1, 0.0, False), (0, 2, 3.0, False), (1, 3, 4.0, True)]


def test_float64_throughout():
    with jax.enable_x64(True):
        draw = jax.jit(lambda k: (random_mdp(k, 3, 2), garnet(k, 4, 2, 2)))
        for mdp in (riverswim(4), *draw(jax.random.key(0))):
            assert {x.dtype for x in jax.tree.leaves(mdp)} == {jnp.dtype("float64"), jnp.dtype(bool)}
            # an identity that float32 cannot hold
            assert np.abs(np.asarray(mdp.P).sum(-1) - 1).max() < 1e-14


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Tabular(3, 0), r"Tabular\.A: must be >= 1, got 0"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
