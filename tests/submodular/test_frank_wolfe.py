"""Convex RL on a ring, and why it is another problem."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.submodular.frank_wolfe import entropy, frank_wolfe, occupancy


def test_frank_wolfe_spreads_out():
    """On a ring that can be walked around: the uniform distribution is attainable, of entropy log n."""
    n, H = 6, 11
    to = np.stack([(np.arange(n) + d) % n for d in (0, 1)], axis=1)
    P, mu0 = np.eye(n)[to], np.eye(n)[0]
    run = jax.jit(lambda: frank_wolfe(P, mu0, H, 300))
    found = run()
    assert float(found.value[-1]) == pytest.approx(np.log(n), abs=2e-3)
    assert np.all(np.asarray(found.gap) >= -1e-5) and float(found.gap[-10:].min()) < 0.05
    assert float(found.weight.sum()) == pytest.approx(1, abs=1e-5)
    parts = jax.jit(jax.vmap(occupancy, (None, None, 0)))(P, mu0, found.action)
    np.testing.assert_allclose(found.weight @ parts, found.occupancy, atol=1e-5)
    assert float(entropy(jnp.full(n, 1 / n))) == pytest.approx(np.log(n), abs=1e-4)
    with pytest.raises(UsageError, match=r"frank_wolfe\.horizon"):
        frank_wolfe(P, mu0, 0, 3)
    for broken in (np.ones_like(P), P * np.nan, -P):
        with pytest.raises(UsageError, match=r"frank_wolfe\.P: rows must be probabilities"):
            frank_wolfe(broken, mu0, H, 3)
    with pytest.raises(UsageError, match=r"frank_wolfe\.mu0"):
        frank_wolfe(P, 2 * mu0, H, 3)


def test_occupancy_does_not_determine_the_value():
    """Convex RL is another problem: two distributions of trajectories, equal occupancies, different E[F]."""
    lingering = [(0, 0, 0), (1, 1, 1)]  # each with probability 1/2
    crossing = [(0, 1, 0), (1, 0, 1)]
    share = [np.bincount(np.ravel(x), minlength=2) / 6 for x in (lingering, crossing)]
    np.testing.assert_array_equal(*share)
    assert [np.mean([len(set(path)) for path in x]) for x in (lingering, crossing)] == [1, 2]
