"""Generated MDPs against published values, closed forms and independent Python."""

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import (
    chain,
    four_rooms,
    four_rooms_layout,
    garnet,
    gridworld,
    random_mdp,
    random_walk,
    riverswim,
)
from jaxrl.envs.tabular.mdp import (
    expected_reward,
    validate,
)


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
    assert four_rooms_layout(9)[2:5] == ("........."[:9], "....#....", "##.####.#")
    with jax.enable_x64(True):
        mdp = four_rooms(9)
        P = np.asarray(mdp.P)
        assert P.shape == (68, 4, 68) and np.asarray(mdp.mu0).argmax() == 0
        # reward 1 / H for every step that begins at the goal, and once at the last step
        per_step, once = np.zeros(68), (np.arange(68) == 67).astype(float)
        for _ in range(40):
            per_step = (np.asarray(mdp.R) / 40 + P @ per_step).max(1)
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


def test_distribution_of_garnets():
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: garnet(jax.random.key(0), 3, 2, 4), r"branching: must lie in 1"),
        (lambda: random_mdp(jax.random.key(0), 3, 2, gamma=2.0), r"gamma: must be in \[0, 1\], got 2"),
        (lambda: random_mdp(jax.random.key(0), 0, 2), "S: must be >= 1, got 0"),
        (lambda: garnet(jax.random.key(0), 3, 2, 2, gamma=float("nan")), "gamma: must be in"),
        (lambda: garnet(jax.random.key(0), 3, 0, 2), "A: must be >= 1, got 0"),
        (lambda: chain(1), "length: must be >= 2"),
        (lambda: chain(5, 1.2), r"slip: must be a probability in \[0, 1\], got 1\.2"),
        (lambda: riverswim(1), "S: must be >= 2"),
        (lambda: random_walk(0), "n: must be >= 1"),
        (lambda: gridworld(["S.", "..G"]), "layout: rows must be non-empty and equally long"),
        (lambda: gridworld(["S?G"]), r"layout: character '\?' is none of"),
        (lambda: gridworld(["..G"]), "layout: has no start"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
