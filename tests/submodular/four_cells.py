"""A problem of 2 x 2 cells of weights 1, 2, 3, 4 from cell 0, three actions, and a policy that is a table."""

from dataclasses import dataclass

import jax
import numpy as np

from jaxrl.core.spaces import Discrete
from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.envs.wrappers.wrapper import Wrapper

H, A = 3, 5
WEIGHTS = np.array([1.0, 2.0, 3.0, 4.0])


def problem(**shown):
    return coverage_grid(tuple(WEIGHTS), H + 1, rows=2, cols=2, start=0, footprint="point", **shown)


@dataclass(frozen=True)
class Table(Wrapper):
    """obs {"obs", "h"} as one index 4 h + cell, so that a linear policy is theta[h, s, a]."""

    @property
    def observation_space(self):
        return Discrete(4 * (H + 1))

    def begin(self, inner, obs, params):
        return inner, 4 * obs["h"] + obs["obs"]

    def advance(self, state, inner, out, params):
        return inner, out._replace(obs=4 * out.obs["h"] + out.obs["obs"])


def enumerate_all():
    """`(cells [H + 1, K], actions [H, K])` of all K = 5^H action sequences, moves written out by hand."""
    actions = np.array(list(np.ndindex(*(A,) * H))).T
    move = {0: (0, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1), 4: (-1, 0)}
    cells = np.zeros((H + 1, actions.shape[1]), int)
    for k in range(actions.shape[1]):
        row = col = 0
        for h in range(H):
            dr, dc = move[int(actions[h, k])]
            if 0 <= row + dr < 2 and 0 <= col + dc < 2:
                row, col = row + dr, col + dc
            cells[h + 1, k] = 2 * row + col
    return cells, actions


def values(cells):
    """F(tau_{0:h}) for h = 0 .. H, float64[H + 1, K]."""
    return np.array(
        [[WEIGHTS[list(set(path[: h + 1]))].sum() for path in cells.T.tolist()] for h in range(H + 1)]
    )


def scores(cells, actions, theta):
    """Gradients of log pi, float64[K, H, H, 4, A]: of step i (second axis) in theta[h, s, a]."""
    n = actions.shape[1]
    pi = np.exp(theta) / np.exp(theta).sum(-1, keepdims=True)
    out, k = np.zeros((n, H, H, 4, A)), np.arange(n)
    for h in range(H):
        out[k, h, h, cells[h]] = -pi[h, cells[h]]
        out[k, h, h, cells[h], actions[h]] += 1
    return out


def probabilities(cells, actions, theta):
    """float64[K]."""
    pi = np.exp(theta) / np.exp(theta).sum(-1, keepdims=True)
    return np.prod([pi[h, cells[h], actions[h]] for h in range(H)], axis=0)


def table_of(params):
    """theta [H, 4, A] out of the kernel of a linear policy on the joint index."""
    kernel = params["actor"]["Dense_0"]["kernel"]
    return kernel[..., : 4 * H, :].reshape(*kernel.shape[:-2], H, 4, A)


def zero_policy(state):
    return state.replace(params=jax.tree.map(lambda x: 0 * x, state.params))
