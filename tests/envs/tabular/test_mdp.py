"""Tables of an MDP: validity, draws by inverse distribution functions."""

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import riverswim
from jaxrl.envs.tabular.mdp import (
    TabularMDP,
    inverse_cdf,
    make_mdp,
    simplex,
    time_indexed,
    validate,
)


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
    p = rng.random((500, 7)).astype(np.float32) * (rng.random((500, 7)) < 0.5)
    p[:, 3] += 1e-3
    p /= p.sum(1, keepdims=True)
    grid = np.concatenate([np.linspace(0, 1, 50, endpoint=False), [1 - 2**-24]]).astype(np.float32)
    drawn = np.asarray(jax.jit(jax.vmap(jax.vmap(inverse_cdf, (None, 0)), (0, None)))(p, grid))
    assert (np.take_along_axis(p, drawn, 1) > 0).all()
    cdf = p.astype(np.float64).cumsum(1)
    for i in range(500):
        for j, u in enumerate(grid):
            exact = int(np.searchsorted(cdf[i], u * cdf[i, -1], side="right"))
            assert drawn[i, j] == exact or np.abs(cdf[i] - u * cdf[i, -1]).min() < 1e-6


def test_validate_accepts_rounding_and_refuses_more():
    mdp = riverswim(6)
    assert validate(mdp) is mdp
    nudged = mdp.P.at[1, 1, 1].add(5e-6)
    validate(mdp.replace(P=nudged))
    with pytest.raises(UsageError, match=r"mdp\.P: row \(1, 1\) sums to 1\.0001"):
        validate(mdp.replace(P=mdp.P.at[1, 1, 1].add(1e-4)))
    assert isinstance(mdp, TabularMDP)


P, R = np.full((3, 2, 3), 1 / 3), np.zeros((3, 2))
EYE = np.eye(3)


def broken_mdp(**fields):
    return lambda: validate(riverswim(3).replace(**fields))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_mdp(EYE, R), r"mdp\.P: shape \(3, 3\) is neither"),
        (lambda: make_mdp(P, np.zeros((3, 2, 5))), "mdp.R: .* set reward_dim"),
        (lambda: make_mdp(P, np.zeros((4, 3, 2))), "mdp.R: .* use time_indexed"),
        (lambda: make_mdp(0.9 * P, R), r"mdp\.P: row \(0, 0\) sums to 0\.9;"),
        (lambda: make_mdp(P - EYE[:, None, :], R), r"mdp\.P: entry .* is -0\.667"),
        (lambda: make_mdp(P, R * np.nan), r"mdp\.R: contains NaN"),
        (lambda: make_mdp(P, R, gamma=1.5), r"mdp\.gamma: must lie in \[0, 1\], got 1\.5"),
        (lambda: make_mdp(P, R, mu0=3), r"mu0: start state 3 is outside 0 \.\. 2"),
        (lambda: make_mdp(P, R, mu0=[0.5, 0.5]), r"mdp\.mu0: shape \(2,\)"),
        (lambda: make_mdp(P, R, mu0=2, terminal=[2]), r"mu0: starts in terminal state 2"),
        (lambda: make_mdp(P, R, terminal=[7]), "terminal: state 7 is outside"),
        (
            broken_mdp(terminal=np.array([False, True, False])),
            r"mdp\.P: a terminal state is left again",
        ),
        (broken_mdp(terminal=np.array([1])), r"mdp\.terminal: must be bool\[S\]"),
        (lambda: time_indexed(time_indexed(riverswim(3), 2), 2), "is time-indexed already"),
        (lambda: time_indexed(riverswim(3), 0), "horizon: must be >= 1"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
