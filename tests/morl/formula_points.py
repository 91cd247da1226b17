"""Point sets written as formulas, with the values of their measures computed by other implementations."""

import numpy as np

# n, m, q -> (non-dominated points, hypervolume above -0.1, above 0, sparsity, step of grid, expected utility)
MEASURES = {
    (12, 2, 11): (3, 1.13, 0.92, 0.135, 0.01, 0.9232673267),
    (20, 3, 11): (4, 1.053, 0.761, 0.3633333333, 0.1, 0.9075757576),
    (20, 4, 13): (11, 0.7079271605, 0.3997878086, 0.0416666667, 0.1, 0.8269813520),
    (16, 6, 13): (12, 0.3659291327, 0.1416497878, 0.0530303030, 0.5, 0.8908730159),
    (12, 9, 17): (12, 0.0346176221, 0.0038460216, 0.0731534091, 0.5, 0.8250000000),
}


def formula_points(n: int, m: int, q: int) -> np.ndarray:
    """Points ((7 i + 3 k + 5 i k) mod q) / (q - 1), float64[n, m]."""
    i, k = np.arange(n)[:, None], np.arange(m)
    return ((7 * i + 3 * k + 5 * i * k) % q) / (q - 1)


def brute_force(points: np.ndarray, reference: np.ndarray) -> float:
    """Hypervolume by inclusion and exclusion over all subsets, for at most a dozen points."""
    sides = np.maximum(points - reference, 0)
    total = 0.0
    for mask in range(1, 1 << len(points)):
        chosen = [i for i in range(len(points)) if mask >> i & 1]
        total += (-1) ** (len(chosen) + 1) * sides[chosen].min(0).prod()
    return total
