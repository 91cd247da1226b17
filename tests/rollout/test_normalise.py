import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.rollout.normalise import MAX_COUNT, ReturnScale, RunningMoments, merge


def row(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def test_merging_batches_equals_numpy_over_all_rows():
    rng = np.random.default_rng(0)
    batches = [rng.normal(3.0, 5.0, (n, 4, 2)).astype(np.float32) for n in (1, 7, 30)]
    moments = RunningMoments.zeros(row(2))
    for batch in batches:
        moments = jax.jit(RunningMoments.update)(moments, batch)
    rows = np.concatenate(batches).reshape(-1, 2).astype(np.float64)
    assert moments.count == len(rows)
    np.testing.assert_allclose(moments.mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.var, rows.var(0), rtol=1e-5)


def test_merge_is_symmetric():
    rng = np.random.default_rng(1)
    a = RunningMoments.zeros(row(3)).update(rng.normal(size=(5, 3)).astype(np.float32))
    b = RunningMoments.zeros(row(3)).update(rng.normal(size=(50, 3)).astype(np.float32))
    for x, y in zip(jax.tree.leaves(merge(a, b)), jax.tree.leaves(merge(b, a)), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)


def test_a_large_offset_does_not_destroy_the_variance():
    """The sum-of-squares formula loses everything here in float32: 1e4^2 = 1e8 leaves no digit for var 1."""
    rng = np.random.default_rng(2)
    moments = RunningMoments.zeros(row())
    batches = 1e4 + rng.normal(size=(50, 100)).astype(np.float32)
    for batch in batches:
        moments = moments.update(batch)
    np.testing.assert_allclose(moments.var, batches.astype(np.float64).var(), rtol=1e-2)


def test_nothing_seen_is_the_identity_and_pytrees_keep_their_integers():
    x = {"o": jnp.array([[1.5, -2.0]]), "h": jnp.array([7])}
    moments = RunningMoments.zeros({"o": row(2), "h": row(dtype=jnp.int32)})
    out = moments.normalise(x)
    np.testing.assert_array_equal(out["o"], x["o"])
    out = moments.update(x).update(x).normalise(x)
    assert out["h"].dtype == jnp.int32
    np.testing.assert_array_equal(out["h"], x["h"])


def test_normalised_rows_have_mean_0_and_std_1_and_outliers_are_clipped():
    rng = np.random.default_rng(3)
    x = rng.normal(-2.0, 0.1, (1000, 3)).astype(np.float32)
    moments = RunningMoments.zeros(row(3)).update(x)
    out = moments.normalise(jnp.asarray(x))
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(out.std(0), 1, rtol=1e-4)
    np.testing.assert_array_equal(moments.normalise(jnp.full(3, 1e6)), [10.0] * 3)


def test_update_leaves_the_old_statistics_alone():
    old = RunningMoments.zeros(row(2))
    before = jax.tree.map(np.array, old)
    old.update(jnp.ones((4, 2)))
    for x, y in zip(jax.tree.leaves(old), jax.tree.leaves(before), strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_count_saturates_and_statistics_still_move():
    moments = RunningMoments.zeros(row()).replace(count=jnp.int32(MAX_COUNT - 3))
    for _ in range(3):
        moments = moments.update(jnp.ones(5))
        assert moments.count == MAX_COUNT
    assert 0 < moments.mean < 1e-7
    both = merge(moments, moments)
    assert both.count == MAX_COUNT
    np.testing.assert_allclose(both.mean, moments.mean)


def test_moments_keep_float64():
    with jax.enable_x64(True):
        x = jnp.arange(5.0)
        moments = RunningMoments.zeros(x[0]).update(x)
        assert moments.mean.dtype == moments.var.dtype == moments.normalise(x).dtype == jnp.float64
        assert moments.count.dtype == jnp.int32
        np.testing.assert_allclose(moments.var, 2.0, rtol=1e-15)


@pytest.mark.parametrize("m", [None, 2])
def test_return_scale_against_a_loop_that_restarts_at_episode_ends(m):
    rng = np.random.default_rng(4)
    shape = (20, 3) if m is None else (20, 3, m)
    reward, done = rng.normal(size=shape).astype(np.float32), rng.random((20, 3)) < 0.2
    scale = ReturnScale.zeros(row(*shape[2:]), 3)
    for part in (slice(0, 13), slice(13, 20)):
        scale = scale.update(jnp.asarray(reward[part]), jnp.asarray(done[part]), 0.9)

    sums = np.zeros(shape)
    for i in range(3):
        total = np.zeros(shape[2:])
        for t in range(20):
            total = 0.9 * total + reward[t, i]
            sums[t, i] = total
            if done[t, i]:
                total = 0.0 * total
    std = sums.reshape(60, *shape[2:]).std(0)
    np.testing.assert_allclose(scale.scale(jnp.asarray(reward)), np.clip(reward / std, -10, 10), rtol=1e-4)


def test_return_scale_is_1_before_data_and_makes_learning_blind_to_units():
    rng = np.random.default_rng(5)
    reward, done = jnp.asarray(rng.normal(size=(50, 2)).astype(np.float32)), jnp.zeros((50, 2), bool)
    empty = ReturnScale.zeros(row(), 2)
    np.testing.assert_array_equal(empty.scale(reward), reward)
    one, thousand = empty.update(reward, done, 0.9), empty.update(1000 * reward, done, 0.9)
    np.testing.assert_allclose(one.scale(reward), thousand.scale(1000 * reward), rtol=1e-4)


def test_batches_that_cannot_be_counted_are_refused():
    with pytest.raises(UsageError, match="rows: 1073741824 rows in one batch"):
        jax.eval_shape(RunningMoments.zeros(row()).update, row(2**30))


@pytest.mark.parametrize("shape", [(0, 3), (4, 6), (4, 2), (3,)])
def test_rows_of_another_shape_and_none_at_all_are_refused(shape):
    with pytest.raises(UsageError, match=r"^rows: "):
        RunningMoments.zeros(jnp.zeros(3)).update(jnp.zeros(shape))
