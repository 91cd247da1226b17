"""Slow references: the backups of the tabular explorers as loops over single entries, in float64."""

import numpy as np


def random_counts(seed, G, S, A, unvisited=True):
    """Counts int[G, S, A, S] of random transitions; some pairs were never visited."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 6, (G, S, A, S)) * rng.integers(0, 2, (G, S, A, S))
    if unvisited:
        counts[:, 0, 0] = 0
        counts[-1, S - 1, A - 1] = 0
    return counts.astype(np.int32)


def row(counts, h, s, a, unseen):
    """n(s, a) and p^(. | s, a) at stage h as floats; `unseen` is the probability where n = 0."""
    one = counts[min(h, len(counts) - 1), s, a]
    n = float(sum(int(c) for c in one))
    return n, [float(c) / n if n > 0 else unseen for c in one]


def backup(counts, H, entry, cap, unseen):
    """Q [H][S][A] by `entry(h, n, mean)`, mean = sum_x p^(x) V_{h+1}(x), V_h = min(cap(h), max_a Q_h)."""
    _, S, A, _ = counts.shape
    Q, V = np.zeros((H, S, A)), np.zeros(S)
    for h in reversed(range(H)):
        below = V.copy()
        for s in range(S):
            for a in range(A):
                n, p = row(counts, h, s, a, unseen)
                mean = 0.0
                for x in range(S):
                    mean += p[x] * below[x]
                Q[h, s, a] = entry(h, n, mean)
            V[s] = min(cap(h), max(Q[h, s]))
    return Q
