"""The normalisation of the features of linear mixtures: |phi_V(s, a)| <= 1 for every V with values in [0, 1].

The norm is convex in V, so that its maximum is attained where V is 0 or 1 in every state.

Legend: `S` states, `A` actions, `d` features.
"""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

from jaxrl.core.errors import UsageError

EXACT_STATES = 14
"""The largest number of states whose 2^S value functions are enumerated."""
_ENTRIES = 2**22  # of the largest intermediate array, 32 MB


def feature_norm(phi: Any) -> float:
    """Max over V in {0, 1}^S and pairs of |phi_V(s, a)|, phi `[S, A, S, d]`; a host computation in float64.

    Exact by enumeration for at most 14 states, for more states the bound of `norm_bound`.
    """
    phi = np.asarray(phi, np.float64)
    if phi.shape[2] > EXACT_STATES:
        return float(norm_bound(phi).max())
    return float(np.sqrt(_largest_vertex(phi.reshape(-1, *phi.shape[2:]))[0].max()))


def norm_bound(phi: np.ndarray) -> np.ndarray:
    """`[S, A]`, an upper bound of max_V |phi_V(s, a)|: every coordinate takes its own best V."""
    coordinate = np.maximum(np.maximum(phi, 0).sum(2), np.maximum(-phi, 0).sum(2))
    return np.linalg.norm(coordinate, axis=-1)


def check_feature_norm(phi: Any) -> None:
    """Raises `UsageError` with pair and V where some |phi_V(s, a)| exceeds 1, phi `[S, A, S, d]`.

    The tolerance is 1e-9, for float32 features 1e-5. Beyond 14 states V is searched by ascent; warns where
    neither the bound of `norm_bound` nor a V that was found decides.
    """
    tolerance = 1e-5 if np.asarray(phi).dtype == np.float32 else 1e-9
    phi = np.asarray(phi, np.float64)
    bound = norm_bound(phi)
    doubtful = np.argwhere(bound > 1 + tolerance)
    if not len(doubtful):
        return
    rows = phi[tuple(doubtful.T)]
    squares, vertices = (_largest_vertex if phi.shape[2] <= EXACT_STATES else _ascent)(rows)
    worst = int(np.argmax(squares))
    (s, a), norm = doubtful[worst], np.sqrt(squares[worst])
    if norm > 1 + tolerance:
        states = np.flatnonzero(vertices[worst]).tolist()
        raise UsageError(
            f"mixture.phi: |phi_V| is {norm:.6g} at the pair (s, a) = ({s}, {a}) for V = 1 in the states"
            f" {states} and 0 elsewhere; divide phi by it and multiply theta by it, for at most 1 is allowed"
        )
    if phi.shape[2] > EXACT_STATES:
        s, a = np.unravel_index(np.argmax(bound), bound.shape)
        warnings.warn(
            f"mixture.phi: whether |phi_V| <= 1 for every V is not decided at the pair (s, a) = ({s}, {a}),"
            f" where it is at most {bound.max():.6g} and no V beyond 1 was found",
            stacklevel=3,
        )


def _largest_vertex(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest |phi_V|^2 `[n]` of each pair and its V `[n, S]`, by enumeration; rows `[n, S, d]`."""
    S = rows.shape[1]
    vertices = np.array(list(itertools.product((0.0, 1.0), repeat=S)))
    chunk = max(1, _ENTRIES // vertices.size)
    best, where = [], []
    for start in range(0, len(rows), chunk):
        x = rows[start : start + chunk]
        gram = x @ np.swapaxes(x, 1, 2)
        squares = ((vertices @ gram) * vertices).sum(-1)  # [chunk, 2^S]
        where.append(squares.argmax(1))
        best.append(squares.max(1))
    return np.concatenate(best), vertices[np.concatenate(where)]


def _ascent(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `_largest_vertex`, but a local maximum: V <- 1[phi phi_V > 0] from V = 1 and the unit vectors."""
    S = rows.shape[1]
    best, where = np.zeros(len(rows)), np.zeros((len(rows), S))
    for start in (np.ones(S), *np.eye(S)):
        V = np.tile(start, (len(rows), 1))
        for _ in range(2 * S):
            after = (np.einsum("nsd,nd->ns", rows, np.einsum("nsd,ns->nd", rows, V)) > 0).astype(float)
            if np.array_equal(after, V):
                break
            V = after
        squares = np.square(np.einsum("nsd,ns->nd", rows, V)).sum(-1)
        better = squares > best
        best[better], where[better] = squares[better], V[better]
    return best, where
