"""Folds against formulas over Python sets, curvature by hand, and checks of weights and items."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.control.car_track import Reach
from jaxrl.envs.coverage.ant_coverage import PatchCoverage
from jaxrl.envs.sets.combinators import OfPlaces, Sum, stack_visits
from jaxrl.envs.sets.coverage import Coverage, CoverageParams
from jaxrl.envs.sets.features import FeatureBased
from jaxrl.envs.sets.grid_coverage import GridCoverage
from jaxrl.envs.sets.items import ItemCollection
from jaxrl.envs.sets.log_det import LogDet
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.sets.protocol import Visit, check_ground, curvature, evaluate, gains, nonnegative
from jaxrl.envs.sets.visits import Visits
from tests.envs.sets.cases import CASES, DEMAND, LAYOUT, PLACES, V, entries, items_of


@pytest.mark.parametrize("name", CASES)
def test_fold_equals_formula(name):
    """value(add(...)) = the formula: 1e-10 relative in float64, 1e-6 in float32."""
    F, params, ground, formula = CASES[name]
    n = jax.tree.leaves(ground)[0].shape[0]
    rng = np.random.default_rng(1)
    orders = np.stack([rng.permutation(n) for _ in range(16)])
    lengths = rng.integers(0, n + 1, 16)
    expected = [formula(entries(ground, order[:t])) for order, t in zip(orders, lengths, strict=True)]
    for wide, bound in ((True, 1e-10), (False, 1e-6)):
        with jax.enable_x64(wide):
            items = jax.tree.map(lambda x: x[orders], items_of(ground))
            cast = jax.tree.map(
                lambda x: x.astype(jnp.result_type(float)) if x.dtype.kind == "f" else x, params()
            )
            mask = jnp.arange(n)[None] < lengths[:, None]
            values = jax.jit(jax.vmap(partial(evaluate, F), (None, 0, 0)))(cast, items, mask)
        # eliminating a row of K + sigma^2 I in single precision loses digits that only float64 has
        atol = 10 * bound if name in ("log_det", "design") and not wide else bound
        np.testing.assert_allclose(values, expected, rtol=bound, atol=atol)


@pytest.mark.parametrize("name", ["coverage", "log_det", "sqrt"])
def test_gains_never_rise_along_a_chain(name):
    """Gains of one item over growing sets, which some libraries let rise for facility location."""
    F, params, ground, _ = CASES[name]
    with jax.enable_x64(True):
        params, ground = params(), jnp.asarray(ground, jnp.int32)

        def body(stat, item):
            stat, _ = F.add(params, stat, item)
            return stat, gains(F, params, stat, ground)

        chain = jax.jit(lambda: jax.lax.scan(body, F.init(params), ground[:7])[1])()
    assert np.all(np.diff(chain, axis=0) <= 1e-12) and np.all(np.asarray(chain) >= 0)
    if name == "log_det":
        assert np.all(np.asarray(chain) > 0)  # a repeated measurement still informs


def test_curvature_by_hand():
    """Modular 0; a duplicated item 1; coverage with a bonus between."""
    with jax.enable_x64(True):
        places = jnp.arange(V)
        assert float(curvature(Modular(V), jnp.asarray(PLACES), places)) == pytest.approx(0, abs=1e-12)
        same = CoverageParams(jnp.ones((3, 1), bool), jnp.ones(1))
        assert float(curvature(Coverage(3, 1), same, jnp.arange(3))) == 1
        F, params, ground, formula = CASES["bonus"]
        everything = entries(ground, range(9))
        ratios = [
            (formula(everything) - formula([e for e in everything if e != one])) / formula([one])
            for one in everything
        ]
        assert float(curvature(F, params(), ground)) == pytest.approx(1 - min(ratios), abs=1e-12)


PAIRS = Visit(np.array([0, 3]), np.array([0, 1]))


@pytest.mark.parametrize(
    ("F", "ground", "entry"),
    [
        (Modular(8), np.arange(9), "entry 8 is 8"),
        (Coverage(8), np.array([3, -1]), "entry 1 is -1"),
        (FeatureBased(8), np.array([0.5]), "entry 0 is 0.5"),
        (GridCoverage(2, 4), np.array([0, 8]), "entry 1 is 8"),
        (ItemCollection(LAYOUT, DEMAND), np.array([8]), "entry 0 is 8"),
        (Sum((Modular(8), LogDet(4, 3))), np.arange(8), "entry 4 is 4"),
        (Visits(3, 3), PAIRS, r"entry 1 is Visit\(h=3, v=1\)"),
        (OfPlaces(Modular(1)), PAIRS, r"entry 1 is Visit\(h=3, v=1\)"),
        (Reach(), np.array([0.5, np.inf]), "entry 1 is inf"),
        (PatchCoverage(6, 2), np.array([[0.0, 1.0], [np.nan, 0.0]]), "entry 1 is \\[nan, 0.0\\]"),
        (Modular(2), Visit(np.arange(2), np.arange(3)), "leaves .* of one length n"),
    ],
)
def test_items_that_a_function_does_not_know_are_refused(F, ground, entry):
    with pytest.raises(UsageError, match=f"^ground: .*{entry}"):
        check_ground("ground", F, ground)


def test_known_items_are_counted_also_under_a_transformation():
    assert check_ground("ground", Visits(3, 3), stack_visits(3, 3)) == 9
    assert int(jax.jit(lambda x: x * check_ground("ground", Modular(2), x))(jnp.arange(4))[3]) == 12


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: nonnegative([1, -1]), "nonnegative.weight: has negative"),
        (lambda: nonnegative([[1, np.nan]]), "nonnegative.weight: has negative or NaN"),
        (lambda: nonnegative([1, 1e39]), "nonnegative.weight: .* not finite in float32"),
        (lambda: nonnegative([3e38, 3e38]), "nonnegative.weight: .* sum is not finite"),
        (lambda: nonnegative([np.inf]), "nonnegative.weight: .* not finite"),
        (lambda: nonnegative(["a"]), "nonnegative.weight: must hold numbers"),
        (
            lambda: curvature(Sum((LogDet(4, 3),)), Sum((LogDet(4, 3),)).default_params(), jnp.arange(4)),
            "curvature.ground: 4 items, but F.capacity is 3",
        ),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()


def test_weights_that_fit_into_64_bits_alone_are_taken_there():
    with jax.enable_x64(True):
        assert float(nonnegative([1e39])[0]) == 1e39
