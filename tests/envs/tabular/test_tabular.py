"""Tabular MDPs against closed forms and independent Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import chain, garnet, gridworld, random_mdp, random_walk, riverswim
from jaxrl.envs.tabular.mdp import (
    TabularMDP,
    expected_reward,
    inverse_cdf,
    make_mdp,
    simplex,
    time_indexed,
    validate,
)
from jaxrl.envs.tabular.tabular import Tabular, TabularState


def backups(mdp, steps, gamma=1.0):
    """Optimal finite-horizon values of two-action tables by a loop."""
    P, R = np.asarray(mdp.P, np.float64), np.asarray(expected_reward(mdp), np.float64)
    value = np.zeros(mdp.n_states)
    for _ in range(steps):
        value = np.array(
            [max(R[s, a] + gamma * P[s, a] @ value for a in range(P.shape[1])) for s in range(len(P))]
        )
    return value


def test_riverswim_published_values():
    values = [3.4691976559, 4.1604864049, 6.0994908527, 8.6765913197, 11.6530395714, 14.8686519356]
    with jax.enable_x64(True):
        np.testing.assert_allclose(backups(riverswim(6), 20), values, atol=1e-9)


@pytest.mark.parametrize(("gamma", "value"), [(0.99, 2.6494571923), (1.0, 3.1539889694)])
def test_chain_published_values(gamma, value):
    with jax.enable_x64(True):
        assert backups(chain(31, 0.05), 20, gamma)[15] == pytest.approx(value, abs=1e-9)


def test_four_rooms_published_values():
    n, mid = 9, 4
    doors = {(2, 4), (7, 4), (4, 2), (4, 7)}
    layout = [
        "".join(
            "S" if (r, c) == (0, 0) else
            "G" if (r, c) == (8, 8) else
            "#" if mid in (r, c) and (r, c) not in doors else "."
            for c in range(n)
        )
        for r in range(n)
    ]  # fmt: skip
    with jax.enable_x64(True):
        mdp = gridworld(layout, slip=0.1, terminal_goal=False)
        P = np.asarray(mdp.P)
        assert P.shape == (68, 4, 68) and np.asarray(mdp.mu0).argmax() == 0
        # reward 1 / H for every step that begins at the goal, and once at the last step
        per_step, once = np.zeros(68), (np.arange(68) == 67).astype(float)
        for _ in range(40):
            per_step = (np.arange(68) == 67) / 40 + (P @ per_step).max(1)
        for _ in range(39):
            once = (P @ once).max(1)
    assert per_step[0] == pytest.approx(0.5254839078, abs=1e-9)
    assert once[0] == pytest.approx(0.9459873849, abs=1e-9)


@pytest.mark.parametrize("n", [5, 19])
def test_random_walk_closed_form(n):
    with jax.enable_x64(True):
        mdp = random_walk(n)
        P, R = np.asarray(mdp.P)[:, 0], np.asarray(expected_reward(mdp))[:, 0]
    live = ~np.asarray(mdp.terminal)
    value = np.linalg.solve(np.eye(n) - P[np.ix_(live, live)], R[live])
    np.testing.assert_allclose(value, 2 * np.arange(1, n + 1) / (n + 1) - 1, atol=1e-12)


def test_garnet_law():
    keys = jax.random.split(jax.random.key(0), 200)
    mdps = jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda k: garnet(k, 6, 2, 3)))(keys))
    P = np.asarray(mdps.P)
    assert ((P > 0).sum(-1) == 3).all()
    # gaps of sorted uniforms have mean 1/b and second moment 2 / (b (b + 1))
    gaps = P[P > 0]
    assert gaps.mean() == pytest.approx(1 / 3, abs=1e-6)
    assert (gaps**2).mean() == pytest.approx(2 / 12, abs=0.01)
    # each state is as likely as any other to be a successor
    assert np.abs((P > 0).mean((0, 1, 2)) - 0.5).max() < 4 * np.sqrt(0.25 / (200 * 12))
    validate(jax.tree.map(lambda x: x[7], mdps))


@pytest.mark.parametrize("concentration", [None, 0.3])
def test_simplex_moments(concentration):
    x = np.asarray(simplex(jax.random.key(0), (20_000, 4), concentration), np.float64)
    a = 1.0 if concentration is None else concentration
    np.testing.assert_allclose(x.sum(-1), 1, atol=1e-5)
    assert np.abs(x.mean(0) - 0.25).max() < 0.01
    second = a * (a + 1) / (4 * a * (4 * a + 1))
    np.testing.assert_allclose((x**2).mean(0), second, rtol=0.05)


def test_inverse_cdf_is_exact_and_never_impossible():
    rng = np.random.default_rng(0)
    law = rng.random((500, 7)).astype(np.float32) * (rng.random((500, 7)) < 0.5)
    law[:, 3] += 1e-3
    law /= law.sum(1, keepdims=True)
    grid = np.concatenate([np.linspace(0, 1, 50, endpoint=False), [1 - 2**-24]]).astype(np.float32)
    drawn = np.asarray(jax.jit(jax.vmap(jax.vmap(inverse_cdf, (None, 0)), (0, None)))(law, grid))
    assert (np.take_along_axis(law, drawn, 1) > 0).all()
    cdf = law.astype(np.float64).cumsum(1)
    for i in range(500):
        for j, u in enumerate(grid):
            exact = int(np.searchsorted(cdf[i], u * cdf[i, -1], side="right"))
            assert drawn[i, j] == exact or np.abs(cdf[i] - u * cdf[i, -1]).min() < 1e-6


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


def test_validate_accepts_rounding_and_refuses_more():
    mdp = riverswim(6)
    assert validate(mdp) is mdp
    nudged = mdp.P.at[1, 1, 1].add(5e-6)
    validate(mdp.replace(P=nudged))
    with pytest.raises(UsageError, match=r"mdp\.P: row \(1, 1\) sums to 1\.0001"):
        validate(mdp.replace(P=mdp.P.at[1, 1, 1].add(1e-4)))
    assert isinstance(mdp, TabularMDP)
