"""Maps for problems that pay for what has been visited: weights of the cells of a grid, as host arrays.

Legend: `V` cells, row by row; `R`, `C` rows and columns. The maps are those of the experiments of Prajapat
et al. (arXiv 2307.13372), rebuilt from their description.
"""

from __future__ import annotations

import numpy as np

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

#: two rooms and a corridor, '#' blocked, the start at (2, 6)
TWO_ROOMS = (
    "....######....",
    "....######....",
    "..............",
    "..............",
    "....######....",
    "....######....",
    "....######....",
)

#: a placement of six kinds of items, '.' for none
ITEMS = (
    "PAAP.OBOOSWOWAW",
    "BA.SBOSW.OWPAS.",
    "WOBSPB.SBPWWWSB",
    "BS.WPBSAAPAAOPO",
    "BW.BBPWOO.PBSOS",
    "AAO.SWWA.PPWO.S",
    "PBBSOOPOW.ABWWO",
)
#: how many cells hold each kind, and how many of each are wanted
SUPPLY = {"W": 18, "S": 14, "A": 13, "B": 16, "O": 18, "P": 14}
DEMAND = {"W": 3, "S": 2, "A": 3, "B": 4, "O": 6, "P": 3}

#: density of gorilla nests, one digit to base 62 per cell: the rate fitted by Mutny and Krause (arXiv
#: 2110.11181) to the data of Funwi-Gabga and Mateu, resampled; one unit is 0.0038348
GORILLA_UNIT = 0.0038348
GORILLA = (
    "666444423465432211466323468A85",
    "5544565348BB842234676433456763",
    "5432476437BC930146664333333332",
    "55213786569B952246532233321123",
    "55313589878ABA7444433333221146",
    "454224799767ACA755556653222369",
    "56543369A75468865789874223349D",
    "7765335ACB86664336AA85212323AF",
    "88763149DEFFFD843689632356439E",
    "78AA6238CGLRUQI956886447BC969B",
    "59GID76ADIQafbOD89A85349FIFA99",
    "4CNRLDBDEIRcieQFDFFB7348FIGB87",
    "5GRTMECCDGOYfdTNORQMGC9ADEB766",
    "AKQPHB88ADLUcfefijhebWPID96345",
    "FOQMGB88CIOUaipwyxuvvqfQE63356",
    "GQURPMIHLSXYZenuvttxzuhQC65566",
    "COWYaYRMPWaYVWacbdjppjXJ966764",
    "9LTYaZSJJOTUSSSOMUgmiYOF966543",
    "DKPRUXTNKOSUWXUMJVmrjWNHC74322",
    "GKLMQXbbbccbccXMIWotjVNID74332",
    "EGJOSZgmqqlfddYLFQhlbOHEA77753",
    "9BKUYZdjongXWZXMDJVXOE97669A74",
    "57LadXUZecSKMUYQFGMLD643359A53",
    "46LbcTPVaWKCFQXRIGHD7333347732",
    "35IUUMNXeZMDEMQMFDD94234334433",
    "35DKIGMZfaOGEHGC87864344323345",
    "46ADBCLVXRJEDD9534555433222246",
    "569BBEMROGAABA6445677543221134",
    "5578BGNRNE87985567777754443234",
    "55579DKOLE97864467667776666555",
)


def gorilla() -> np.ndarray:
    """float64[30, 30], densities of gorilla nests as integers 0 .. 61."""
    return np.array([[ALPHABET.index(c) for c in row] for row in GORILLA], float)


def bimodal(rows: int, cols: int) -> np.ndarray:
    """float64[R, C], 1 / (1 + exp(-x y)) on [-1, 1]^2: high at two opposite corners."""
    x, y = np.linspace(-1, 1, rows), np.linspace(-1, 1, cols)
    return 1 / (1 + np.exp(-np.outer(x, y)))


def matern_kernel(rows: int, cols: int, spacing: float = 0.1, variance: float = np.log(2)) -> np.ndarray:
    """float64[V, V], V = R C: Matern-5/2 with length 1 between cells `spacing` apart."""
    return _matern(_points(rows, cols, spacing), _points(rows, cols, spacing), variance)


def posterior_kernel(
    seed: int, rows: int, cols: int, spacing: float = 0.1, variance: float = np.log(2), noise: float = 1e-3
) -> np.ndarray:
    """float64[V, V]: `matern_kernel` after noisy measurements at 5 uniform points of [0, 10]^2.

    The grid lies at 1 + spacing (row, column), so that most points of most seeds are far from it.
    """
    seen, grid = np.random.default_rng(seed).uniform(0, 10, (5, 2)), 1 + _points(rows, cols, spacing)
    known = _matern(grid, seen, variance)
    gram = _matern(seen, seen, variance) + noise * np.eye(len(seen))
    return matern_kernel(rows, cols, spacing, variance) - known @ np.linalg.solve(gram, known.T)


def gp_sample(seed: int, rows: int, cols: int, noise: float = 1e-3) -> np.ndarray:
    """float64[R, C] >= 0: 3 plus a draw of the process of `matern_kernel`, which knows one noisy zero.

    The zero lies at a uniform point of [0, 10]^2, the grid at 1 + 0.1 (row, column).
    """
    rng = np.random.default_rng(seed)
    grid = 1 + _points(rows, cols, 0.1)
    both = np.concatenate([grid, rng.uniform(0, 10, (1, 2))])
    # adding 1e-8 to the variances makes the factorisation safe and is far below the map's two digits
    factor = np.linalg.cholesky(_matern(both, both, np.log(2)) + 1e-8 * np.eye(len(both)))
    draw = factor @ rng.normal(size=len(both))
    seen, k = draw[-1] + np.sqrt(noise) * rng.normal(), _matern(grid, both[-1:], np.log(2))[:, 0]
    posterior = draw[:-1] - k / (np.log(2) + noise) * seen
    return np.maximum(posterior + 3, 0).reshape(rows, cols)


def random_items(seed: int, rows: int = 7, cols: int = 15) -> tuple[str, ...]:
    """A placement like `ITEMS`: the `SUPPLY` on a random permutation of the cells.

    The grid needs at least the 93 cells of the supply.
    """
    kinds = "".join(kind * count for kind, count in SUPPLY.items())
    cells = np.full(rows * cols, ".")
    cells[np.random.default_rng(seed).permutation(rows * cols)[: len(kinds)]] = list(kinds)
    return tuple("".join(row) for row in cells.reshape(rows, cols))


def _points(rows: int, cols: int, spacing: float) -> np.ndarray:
    """float64[V, 2], positions of the cells."""
    return spacing * np.stack(np.divmod(np.arange(rows * cols), cols), axis=1)


def _matern(x: np.ndarray, y: np.ndarray, variance: float) -> np.ndarray:
    q = np.sqrt(5) * np.linalg.norm(x[:, None] - y[None], axis=-1)
    return variance * (1 + q + q**2 / 3) * np.exp(-q)
