"""Set functions with parameters, a ground set, and a formula over Python sets."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.base import real
from jaxrl.envs.control.car_track import Reach
from jaxrl.envs.coverage.ant_coverage import PatchCoverage
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
from jaxrl.envs.sets.features import FeatureBased, features
from jaxrl.envs.sets.grid_coverage import GridCoverage
from jaxrl.envs.sets.grid_design import GridDesign
from jaxrl.envs.sets.items import ItemCollection
from jaxrl.envs.sets.log_det import LogDet, LogDetParams
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.sets.protocol import Visit, nonnegative
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
