"""Every set function against a formula over Python sets, and against the promises of submodularity (7.8)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.base import real
from jaxrl.envs.control.car_track import Reach
from jaxrl.envs.coverage.ant_coverage import PatchCoverage
from jaxrl.envs.sets.check import check_set_function
from jaxrl.envs.sets.combinators import (
    CapParams,
    OfPlaces,
    Sum,
    SumParams,
    TimeWindow,
    Truncated,
    WindowParams,
    stack_visits,
)
from jaxrl.envs.sets.coverage import Coverage, CoverageParams, coverage_params
from jaxrl.envs.sets.facility_location import FacilityLocation
from jaxrl.envs.sets.features import FeatureBased, FeatureParams, features
from jaxrl.envs.sets.grid_coverage import GridCoverage
from jaxrl.envs.sets.grid_design import GridDesign
from jaxrl.envs.sets.items import ItemCollection
from jaxrl.envs.sets.log_det import LogDet, LogDetParams
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.sets.protocol import Visit, curvature, evaluate, gains, nonnegative
from jaxrl.envs.sets.visits import Visits, coverage_with_bonus

RNG = np.random.default_rng(0)
V, U, K = 8, 7, 5
COVERS, WEIGHT = RNG.random((V, U)) < 0.35, RNG.random(U)
SIMILARITY, PLACES, FEATURE = RNG.random((V, U)), RNG.random(V), RNG.random((V, 3))
BONUS = RNG.random((3, V))
_ROOT = RNG.normal(size=(V, 4))
KERNEL = _ROOT @ _ROOT.T
LAYOUT, DEMAND = ("AB.A", "BBA."), (("A", 2), ("B", 1))
PLACE = np.arange(V)
TWICE = np.concatenate([np.arange(4), np.arange(4)])  # visits: the place counts again
VISITS = stack_visits(3, 3)
LINE = np.append(RNG.normal(size=7), 0.1)  # numbers along a line
SPOTS = RNG.uniform(-1.6, 1.6, (8, 2))  # positions in the plane, some outside [-1.2, 1.2]^2


def cover(items, covers=COVERS, weight=WEIGHT):
    return sum(w for u, w in enumerate(weight) if any(covers[v, u] for v in items))


def collect(items):
    cells = [LAYOUT[v // 4][v % 4] for v in set(items)]
    return sum(min(cells.count(kind), number) for kind, number in DEMAND)


def design(items):
    return 0.5 * np.linalg.slogdet(np.eye(len(items)) + KERNEL[np.ix_(items, items)] / 0.1)[1]


def quads(items):
    cells = {(v // 4 + r, v % 4 + c) for v in items for r in (0, 1) for c in (0, 1)}
    return sum(1 + 4 * r + c for r, c in cells if r < 2 and c < 4)


def matern(items):
    """8 cells in rows of 4, 0.5 apart, of variance ln 2."""
    x = 0.5 * np.stack(np.divmod(items, 4), axis=1).reshape(-1, 2)
    q = np.sqrt(5) * np.linalg.norm(x[:, None] - x[None], axis=-1)
    K = np.log(2) * (1 + q + q**2 / 3) * np.exp(-q)
    return 0.5 * np.linalg.slogdet(np.eye(len(items)) + K / 0.1)[1]


def patches(spots):
    corners = np.clip(np.floor((spots + 1.2) / 0.4), 0, 5).astype(int)
    cells = {(a + i, b + j) for a, b in corners for i in (0, 1) for j in (0, 1)}
    return 0.1 * sum(a < 6 and b < 6 for a, b in cells)


def concave(phi):
    return lambda items: phi(FEATURE[items].sum(0)) @ np.array([1.0, 2.0, 0.5])


def feature_params(cap=None):
    return features(FEATURE, [1.0, 2.0, 0.5], cap)


def cover_params():
    return coverage_params(COVERS, WEIGHT)


def bonus(visits):
    return 2 * cover([v for _, v in visits], COVERS[:3]) + sum(BONUS[h, v] for h, v in visits)


def window(visits):
    return cover([v for h, v in visits if h == 1])


# name -> (F, parameters, ground set, formula over the chosen entries of the ground set)
CASES = {
    "coverage": (Coverage(V, U), cover_params, PLACE, cover),
    "grid coverage": (
        GridCoverage(2, 4, "quad", tuple(1.0 + np.arange(8))),
        lambda: GridCoverage(2, 4, "quad", tuple(1.0 + np.arange(8))).default_params(),
        PLACE,
        quads,
    ),
    "items": (
        ItemCollection(LAYOUT, DEMAND),
        lambda: ItemCollection(LAYOUT, DEMAND).default_params(),
        PLACE,
        collect,
    ),
    "log_det": (
        LogDet(V, V),
        lambda: LogDetParams(jnp.asarray(KERNEL), jnp.asarray(0.1)),
        TWICE,
        design,
    ),
    "facility": (
        FacilityLocation(V, U),
        lambda: jnp.asarray(SIMILARITY),
        PLACE,
        lambda items: SIMILARITY[items].max(0, initial=0).sum(),
    ),
    "sqrt": (FeatureBased(V), feature_params, TWICE, concave(np.sqrt)),
    "log1p": (FeatureBased(V, "log1p"), feature_params, TWICE, concave(np.log1p)),
    "cap": (
        FeatureBased(V, "cap"),
        lambda: feature_params(1.2),
        TWICE,
        concave(lambda m: np.minimum(m, 1.2)),
    ),
    "design": (
        GridDesign(8, 8, cols=4, spacing=0.5, noise=0.1),
        lambda: GridDesign(8, 8, cols=4, spacing=0.5, noise=0.1).default_params(),
        TWICE,
        lambda items: matern(items),
    ),
    "reach": (
        Reach(),
        lambda: real(0.25),
        LINE,
        lambda items: max([0, *(LINE[items] - 0.25)]),
    ),
    "patch": (
        PatchCoverage(6, 2),
        lambda: PatchCoverage(6, 2).default_params(),
        SPOTS,
        lambda items: patches(SPOTS[items]),
    ),
    "visits": (
        Visits(3, 3),
        lambda: nonnegative(BONUS[:, :3]),
        VISITS,
        lambda visits: sum(BONUS[h, v] for h, v in visits),
    ),
    "modular": (Modular(V), lambda: jnp.asarray(PLACES), TWICE, lambda items: PLACES[items].sum()),
    "bonus": (
        coverage_with_bonus(3, 3, U),
        lambda: SumParams(
            jnp.array([2.0, 1.0]),
            (CoverageParams(jnp.asarray(COVERS[:3]), jnp.asarray(WEIGHT)), jnp.asarray(BONUS[:, :3])),
        ),
        VISITS,
        bonus,
    ),
    "sum": (
        Sum((Coverage(V, U), FacilityLocation(V, U))),
        lambda: SumParams(nonnegative([0.5, 2.0]), (cover_params(), jnp.asarray(SIMILARITY))),
        PLACE,
        lambda items: 0.5 * cover(items) + 2 * SIMILARITY[items].max(0, initial=0).sum(),
    ),
    "truncated": (
        Truncated(Coverage(V, U)),
        lambda: CapParams(jnp.asarray(1.5), cover_params()),
        PLACE,
        lambda items: min(cover(items), 1.5),
    ),
    "window": (
        TimeWindow(OfPlaces(Coverage(V, U)), 1, 2),
        lambda: WindowParams(jnp.int32(1), jnp.int32(2), cover_params()),
        VISITS,
        window,
    ),
}


def entries(ground, index):
    """What a formula reads: places, pairs of time and place, or positions of numbers."""
    if isinstance(ground, Visit):
        return [(int(ground.h[i]), int(ground.v[i])) for i in index]
    return np.asarray(ground)[index] if ground.dtype.kind == "i" else np.asarray(index, int)


def items_of(ground):
    """Numbers in the precision at hand, indices in 32 bits."""
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.int32 if x.dtype.kind == "i" else jnp.result_type(float)), ground
    )


@pytest.mark.parametrize("name", CASES)
def test_promises_on_every_subset(name):
    """Exhaustive for at most 9 elements."""
    F, params, ground, _ = CASES[name]
    with jax.enable_x64(True):
        check_set_function(F, params(), items_of(ground))


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
    """Pitfall of facility location elsewhere: gains of one item over growing sets."""
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


def test_sampled_above_nine_elements():
    F = FacilityLocation(40, 11)
    similarity = jnp.asarray(np.random.default_rng(2).random((40, 11)), jnp.float32)
    check_set_function(F, similarity, jnp.arange(40))


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


class Square(Modular):
    """|S|^2: monotone, not submodular."""

    def value(self, params, stat):
        return stat**2

    def gain(self, params, stat, item):
        return (stat + 1) ** 2 - stat**2

    def add(self, params, stat, item):
        return stat + 1, self.gain(params, stat, item)


class Growing(Modular):
    """The list of items as statistic."""

    def init(self, params):
        return jnp.zeros(0)

    def add(self, params, stat, item):
        return jnp.append(stat, params[item]), params[item]


class Last(Modular):
    """Each item is worth as much as its position: depends on the order."""

    def gain(self, params, stat, item):
        return stat * params[item]

    def add(self, params, stat, item):
        return stat + 1, stat * params[item]

    def value(self, params, stat):
        return stat * 0


class Wrong(Modular):
    """A gain that add does not return."""

    def gain(self, params, stat, item):
        return 2 * params[item]


class Shifted(Modular):
    """Gains of which only the sum over all items is right."""

    def gain(self, params, stat, item):
        return params[item] + (item == 0) - (item == 1)


class Late(Shifted):
    """That which add returns is shifted, too: only the value tells."""

    def add(self, params, stat, item):
        return stat + params[item], self.gain(params, stat, item)


@pytest.mark.parametrize(
    ("F", "params", "sentence"),
    [
        (Square(4), jnp.ones(4), "is not submodular"),
        (Modular(4), jnp.array([1.0, -1, 1, 1]), "is not monotone"),
        (Coverage(4), CoverageParams(jnp.eye(4, dtype=bool), -jnp.ones(4)), "is not monotone"),
        (Growing(4), jnp.ones(4), "keep its shapes"),
        (Last(4), jnp.ones(4), "gains sum to"),
        (Wrong(4), jnp.ones(4), "gain and add differ"),
        (Shifted(4), jnp.ones(4), "gain and add differ by 1"),
        (Late(4), jnp.ones(4), "gains sum to"),
        (LogDet(4, 3), LogDet(4, 3).default_params(), "LogDet: ground: 4 items, but F.capacity is 3"),
        (Modular(4), jnp.array([1.0, jnp.nan, 1, 1]), "not finite"),
    ],
)
def test_broken_functions_are_found(F, params, sentence):
    with pytest.raises(UsageError, match=sentence):
        check_set_function(F, params, jnp.arange(4))


def test_no_tolerance_is_none():
    """Gains of 0.1 do not sum to the value exactly."""
    F, params = Modular(7), jnp.full(7, 0.1)
    check_set_function(F, params, jnp.arange(7))
    with pytest.raises(UsageError, match="Modular"):
        check_set_function(F, params, jnp.arange(7), tolerance=0.0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: features(np.ones(3)), "features.feature: shape"),
        (lambda: features(-np.ones((3, 2))), "features.feature: has negative"),
        (lambda: features(np.ones((3, 2)), [1, -1]), "features.weight: has negative"),
        (lambda: features(np.ones((3, 2)), [1]), "features.weight: shape"),
        (lambda: features(np.ones((3, 2)), cap=-1), "features.cap"),
        (lambda: FeatureBased(3, "square"), "FeatureBased.phi"),
        (lambda: FeatureBased(0), "FeatureBased.n_items"),
        (lambda: nonnegative([1, -1]), "nonnegative.weight: has negative"),
        (lambda: nonnegative([[1, np.nan]]), "nonnegative.weight: has negative or NaN"),
        (lambda: coverage_params(np.ones(3)), "coverage_params.covers: shape"),
        (lambda: coverage_params(np.ones((3, 2)), [1, -1]), "coverage_params.weight: has negative"),
        (lambda: coverage_params(np.ones((3, 2)), [1]), "coverage_params.weight: has shape"),
        (lambda: FeatureBased(8, "cap").init(feature_params()), "FeatureBased.phi: .* params lack a cap"),
        (lambda: FeatureBased(8).init(feature_params(1.0)), "FeatureBased.phi: .* params have a cap"),
        (lambda: FeatureBased(9).init(feature_params()), "FeatureBased.feature: has shape"),
        (lambda: LogDet(9, 2).init(LogDet(8, 2).default_params()), "LogDet.kernel: has shape"),
        (lambda: Coverage(9).init(Coverage(8).default_params()), "Coverage.covers: has shape"),
        (lambda: FacilityLocation(9).init(jnp.eye(8)), "FacilityLocation.similarity: has shape"),
        (lambda: Modular(9).init(jnp.ones(8)), "Modular.weight: has shape"),
        (lambda: Visits(3, 2).init(jnp.ones((2, 2))), "Visits.m: has shape"),
        (
            lambda: Sum((Modular(2),)).init(SumParams(jnp.ones(2), (jnp.ones(2),))),
            "Sum.weight: has shape",
        ),
        (lambda: Sum((Modular(2), Visits(2, 2))), "Sum.parts: some are over visits"),
        (lambda: TimeWindow(Modular(2), 0, 2), "TimeWindow.F: is over places"),
        (
            lambda: curvature(Sum((LogDet(4, 3),)), Sum((LogDet(4, 3),)).default_params(), jnp.arange(4)),
            "curvature.ground: 4 items, but F.capacity is 3",
        ),
        (lambda: Sum(()), "Sum.parts"),
        (lambda: Truncated(Modular(2), -1), "Truncated.cap"),
        (lambda: TimeWindow(Modular(2), 2, 2), "TimeWindow.low, high"),
        (lambda: coverage_with_bonus(0, 3), "Visits.n_states"),
        (lambda: ItemCollection(("AB", "A"), DEMAND), "ItemCollection.layout"),
        (lambda: ItemCollection(("AC",), DEMAND), "ItemCollection.layout"),
        (lambda: ItemCollection(("A",), (("A", -1),)), "ItemCollection.demand"),
    ],
)
def test_bad_input(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()


def test_default_parameters_are_set_functions():
    """Each class works without parameters of its own, also under vmap over its numbers."""
    for F in (FeatureBased(3, "cap"), Truncated(Modular(3), 2.0)):
        check_set_function(F, F.default_params(), jnp.arange(3))
    assert isinstance(FeatureBased(3).default_params(), FeatureParams)
    F = Truncated(Coverage(3))
    caps = jnp.array([0.5, 1.0, 9.0])
    many = CapParams(caps, F.F.default_params())
    values = jax.vmap(lambda p: evaluate(F, p, jnp.arange(3)), (CapParams(0, None),))(many)
    np.testing.assert_allclose(values, [0.5, 1, 3])
    F = coverage_with_bonus(2, 3)
    assert float(evaluate(F, F.default_params(), stack_visits(2, 3))) == 3 + 6
