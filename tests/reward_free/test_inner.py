"""The inner maximum: against brute force and a worked example, its local and surrogate versions, what it
refuses."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.reward_free import inner
from jaxrl.reward_free.features import Dense, KnownSupport, form_of
from jaxrl.reward_free.regression import ridge
from tests.reward_free.mixtures import SIGMA, hashed

NORMS = [
    0.09970055985732,
    0.18847081322308,
    0.20926553357948,
    0.1409914519958,
    0.2207314074187,
    0.22830530270018,
]
SETS = [[0, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1]]
SURROGATE = [0.1141932724, 0.2575767994, 0.2895911529, 0.1851405613, 0.3092832061, 0.3202585405]


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def worked():
    return form_of(hashed()), jnp.asarray(np.linalg.inv(SIGMA))[None]


@pytest.mark.parametrize("solver", [inner.exact, inner.ascent])
def test_maxima_of_a_worked_example(solver):
    found = solver(*worked())
    np.testing.assert_allclose(found.norm, NORMS, atol=1e-10)
    assert found.sets.tolist() == SETS


def test_surrogate_of_a_worked_example():
    np.testing.assert_allclose(inner.l1(*worked()).norm, SURROGATE, atol=1e-9)


def brute_force(phi, inverse):
    """The largest norm per pair, from all sets by numpy."""
    S, A = phi.shape[:2]
    sets = np.array(list(itertools.product((0, 1), repeat=S)))
    x = np.einsum("nx,saxd->nsad", sets, phi)
    return np.sqrt(np.einsum("nsai,ij,nsaj->nsa", x, inverse, x).max(0)).reshape(S * A)


@pytest.mark.parametrize(("S", "d"), [(3, 2), (5, 3), (8, 4)])
def test_solvers_on_random_problems(S, d):
    """Exact equals brute force; ascent is never above it and sometimes below; the surrogate is sandwiched."""
    rng = np.random.default_rng(S)
    exact, ascent, l1 = (jax.jit(solver) for solver in (inner.exact, inner.ascent, inner.l1))
    below = 0
    for _ in range(20):
        phi, root = rng.normal(size=(S, 2, S, d)), rng.normal(size=(d, d))
        inverse = root @ root.T + 0.01 * np.eye(d)
        form = Dense.of(jnp.asarray(phi))
        best, local, sums = (solver(form, jnp.asarray(inverse)[None]) for solver in (exact, ascent, l1))
        np.testing.assert_allclose(best.norm, brute_force(phi, inverse), rtol=1e-10)
        assert np.all(local.norm <= best.norm + 1e-9)
        below += int((np.asarray(local.norm) < np.asarray(best.norm) - 1e-6).sum())
        assert np.all(sums.norm / np.sqrt(d) <= best.norm + 1e-9) and np.all(best.norm <= sums.norm + 1e-9)
    assert below > 0 or S == 3


def test_known_successors_equal_the_dense_form():
    """Two successors of three states per pair; the padding changes nothing."""
    rng = np.random.default_rng(0)
    successors = np.array([[[0, 1], [2, 0]], [[1, 0], [0, 2]], [[2, 1], [1, 2]]])
    mask = np.ones((3, 2, 2))
    mask[1, 0, 1] = 0
    form = KnownSupport.of(jnp.asarray(successors), jnp.asarray(mask))
    root = rng.normal(size=(6, 2, 2))
    inverse = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(2)
    found, climbed = inner.exact(form, jnp.asarray(inverse)), inner.ascent(form, jnp.asarray(inverse))
    for p in range(6):
        phi = np.zeros((3, 2))
        for j in range(2):
            phi[successors.reshape(6, 2)[p, j], j] += mask.reshape(6, 2)[p, j] / np.sqrt(2)
        x = np.array(list(itertools.product((0, 1), repeat=3))) @ phi
        np.testing.assert_allclose(
            found.norm[p], np.sqrt(np.einsum("ni,ij,nj->n", x, inverse[p], x).max()), rtol=1e-10
        )
        own = found.sets[p] @ phi
        np.testing.assert_allclose(np.sqrt(own @ inverse[p] @ own), found.norm[p], rtol=1e-10)
    assert np.all(climbed.norm <= found.norm + 1e-9)


def test_with_pinned_mass_all_states_are_never_the_maximiser():
    """P 1 = 1 for every parameter, so that there is nothing to learn in that direction."""
    form = form_of(hashed())
    plain, pinned = (ridge(form, jnp.asarray(1.0), pin=pin) for pin in (False, True))
    assert np.all(inner.exact(form, plain.inverse).sets == 1)
    assert not np.any(np.all(inner.exact(form, pinned.inverse).sets == 1, axis=1))


def test_a_symmetric_root_is_one():
    a = jnp.asarray(np.linalg.inv(SIGMA))
    root = inner.symmetric_root(a)
    np.testing.assert_allclose(root @ root, a, rtol=1e-12)
    np.testing.assert_allclose(root, root.T, rtol=1e-12)


def test_sizes_that_cannot_be_enumerated_are_refused_with_the_solver_to_take():
    form = Dense.of(jnp.zeros((15, 1, 15, 2)))
    with pytest.raises(UsageError, match=r'Config.inner: 15 states are more than the 14 .*; take "ascent"'):
        inner.exact(form, jnp.eye(2)[None])
    wide = Dense.of(jnp.zeros((3, 1, 3, 15)))
    with pytest.raises(UsageError, match=r'Config.inner: 15 features .*; take "ascent"'):
        inner.l1(wide, jnp.eye(15)[None])
