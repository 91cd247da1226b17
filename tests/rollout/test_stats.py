"""Sums over the episodes that ended, against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.rollout.stats import EpisodeStats


@pytest.mark.parametrize("m", [None, 2])
def test_sums_and_averages_of_ended_episodes(m):
    rng = np.random.default_rng(0)
    tail = () if m is None else (m,)
    returns, discounted = (rng.normal(size=(6, 4, *tail)).astype(np.float32) for _ in range(2))
    lengths, done = rng.integers(1, 9, (6, 4)), rng.random((6, 4)) < 0.4
    truncated = done & (rng.random((6, 4)) < 0.5)
    stats = EpisodeStats.zeros(jax.ShapeDtypeStruct(tail, jnp.float32))
    for t in range(6):
        stats = stats.add(*(jnp.asarray(x[t]) for x in (done, returns, discounted, lengths, truncated)))
    assert stats.count == done.sum() > 0
    np.testing.assert_allclose(stats.returns, returns[done].sum(0), rtol=1e-5)
    np.testing.assert_allclose(stats.squares, (returns[done] ** 2).sum(0), rtol=1e-5)
    metrics = {name: mean.total / mean.count for name, mean in stats.metrics().items()}
    np.testing.assert_allclose(metrics["train/return"], returns[done].mean(0), rtol=1e-5)
    np.testing.assert_allclose(metrics["train/discounted_return"], discounted[done].mean(0), rtol=1e-5)
    assert metrics["train/length"] == pytest.approx(lengths[done].mean())
    assert metrics["train/truncated"] == pytest.approx(truncated[done].mean())
