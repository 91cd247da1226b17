"""Information gain on the published grid against determinants, in both precisions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.coverage import maps
from jaxrl.envs.sets.grid_design import GridDesign

KERNEL = maps.matern_kernel(30, 30)


def information(path, noise=1e-2):
    K = KERNEL[np.ix_(path, path)]
    return 0.5 * np.linalg.slogdet(np.eye(len(path)) + K / noise)[1]


def test_design_in_double_precision():
    """Released settings: noise 1e-6, 40 states; the random policy of the prior has value 183.74 +- 0.26."""
    with jax.enable_x64(True):
        F = GridDesign(900, 40, noise=1e-6)
        params = F.default_params()
        assert params.kernel.dtype == np.float64
        rng, moves = np.random.default_rng(0), np.array([(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)])
        paths = np.zeros((300, 40, 2), int)
        paths[:, 0] = 1, 4
        for t in range(1, 40):
            to = paths[:, t - 1] + moves[rng.integers(5, size=300)]
            inside = ((to >= 0) & (to < 30)).all(1, keepdims=True)
            paths[:, t] = np.where(inside, to, paths[:, t - 1])
        cells = paths @ [30, 1]

        def fold(path):
            stat, gains = jax.lax.scan(lambda s, v: F.add(params, s, v), F.init(params), path)
            return F.value(params, stat), gains, F.features(params, stat)

        value, gains, counts = map(np.asarray, jax.jit(jax.vmap(fold))(jnp.asarray(cells, jnp.int32)))
    assert np.all(gains > 0)
    exact = [information(path, 1e-6) for path in cells]
    np.testing.assert_allclose(value, exact, atol=1e-8)
    assert value.mean() + 40 * 3.058029 == pytest.approx(
        183.74, abs=4 * np.hypot(0.26, value.std() / 300**0.5)
    )
    np.testing.assert_array_equal(counts[0], np.bincount(cells[0], minlength=900))


@pytest.mark.parametrize(("noise", "low", "high"), [(1e-4, 1e-3, 1e-1), (1e-2, 1e-6, 5e-4)])
def test_float32_errors_have_the_documented_size(noise, low, high):
    """Worst of 100 random walks of 40 states; the clamp leaves no negative gain and no NaN."""
    rng = np.random.default_rng(1)
    cells = np.clip(np.cumsum(rng.integers(-1, 2, (100, 40, 2)), axis=1) + 15, 0, 29) @ [30, 1]
    F = GridDesign(900, 40, noise=noise)
    params = F.default_params()

    def fold(path):
        stat, gains = jax.lax.scan(lambda s, v: F.add(params, s, v), F.init(params), path)
        return F.value(params, stat), gains

    value, gains = jax.jit(jax.vmap(fold))(jnp.asarray(cells, jnp.int32))
    error = np.abs(np.asarray(value) - [information(path, noise) for path in cells]).max()
    assert low < error < high and np.all(np.asarray(gains) >= 0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: GridDesign(900, 40, cols=7), "GridDesign.cols: 900 cells are no rows of 7"),
        (lambda: GridDesign(900, 40, noise=0.0), "GridDesign.noise"),
        (lambda: GridDesign(900, 40, noise=np.inf), "GridDesign.noise"),
        (lambda: GridDesign(4, 2, cols=2, noise=1e-50).default_params(), "GridDesign.noise: .* float32"),
        (lambda: GridDesign(4, 0, cols=2), "GridDesign.capacity"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
