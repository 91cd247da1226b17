"""Search for coverage bandits of two steps on which ascent of softmax policies from the uniform one ends low.

Legend: `B` bandits, `V` places, `U` elements.
"""

from __future__ import annotations

import jax
import numpy as np

from theory.submodular.ascent import climb_bandit
from theory.submodular.bandit import Bandit, values

STEPS = 2000  # of ascent
RATE = 10.0  # in logits, of the value over the best


def worst(seed: int, places: int, elements: int, count: int, rounds: int) -> tuple[float, Bandit]:
    """`(J at the end / best, bandit)`, the lowest that an evolution of `count` bandits finds in `rounds`.

    A tenth survives a round, each with nine mutants: entries of the sets are flipped, weights scaled.
    """
    rng = np.random.default_rng(seed)
    covers = rng.random((count, 2, places, elements)) < rng.random((count, 1, 1, 1))
    weight = rng.random((count, elements))
    for _ in range(rounds):
        reached = shares(covers, weight)
        order = np.argsort(reached)[: count // 10]
        covers, weight = covers[order], weight[order]
        parent = np.repeat(np.arange(len(order)), 9)
        flip = rng.random((len(parent), *covers.shape[1:])) < rng.choice(
            [0, 0.05, 0.15], (len(parent), 1, 1, 1)
        )
        scale = rng.choice([0.003, 0.03, 0.3], (len(parent), 1))
        mutants = weight[parent] * np.exp(scale * rng.normal(size=(len(parent), elements)))
        covers = np.concatenate([covers, covers[parent] ^ flip])
        weight = np.concatenate([weight, mutants])
    return float(reached[order[0]]), Bandit(tables(covers[:1], weight[:1])[0], 0.0)


def shares(covers: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """float[B], J where ascent ends over the best; 1 where nothing is worth anything."""
    table = tables(covers, weight)
    best = table.max((1, 2))
    bandits = Bandit(table / np.where(best > 0, best, 1)[:, None, None], np.zeros(len(table)))
    return np.where(best > 0, _ends(bandits), 1.0)


def tables(covers: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """float[B, V + 1, V + 1], the tables of `Bandit`, of sets bool[B, 2, V, U] and weights [B, U]."""
    sets = np.concatenate([covers, np.zeros_like(covers[:, :, :1])], axis=2)
    return np.einsum("bijk,bk->bij", sets[:, 0, :, None] | sets[:, 1, None], weight)


@jax.jit
def _ends(bandits: Bandit) -> jax.Array:
    ends = jax.vmap(climb_bandit, (0, None, None))(bandits, STEPS, RATE)
    return jax.vmap(lambda pi, bandit: values(pi[None], bandit)[0])(ends, bandits)
