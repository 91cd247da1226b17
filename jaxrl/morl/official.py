"""The extension term of the released code, kept apart because it holds no constraint on a return.

The released loss adds, for each minibatch of returns with column means R (on the critic's scale),

    - (1 / t) mean log(-min(beta R_k - clip(rho_i) R_k, -0.001))    over samples i != l and objectives k

with the index l of the objective that is extended: a row of the minibatch is dropped, not the column of that
objective. No advantage of a constrained objective enters. At rho = 1 its gradient is that of the mean of
log pi(a_i | s_i), times -1 / (t (1 - beta)) and the share of positive means: zero in expectation.

Source: repository RuohLiuq/C-MORL at 67473b5.

Legend: `B` samples of a minibatch, `m` objectives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxrl.baselines import ppo
from jaxrl.core.types import Array

_FLOOR = 0.001  # of minus the bracket, where a mean is not positive


class Released(NamedTuple):
    """What the surrogate reads, as `ppo.Hyper.surrogate`.

    extended: float[m], 1 for the objective that is extended; beta, t: float[].
    """

    extended: Array
    beta: Array
    t: Array


def released_term(
    ratio: Array, returns: Array, row: Array | int, *, clip: Array | float, beta: Array, t: Array
) -> Array:
    """What the released loss adds, float[], for ratios `[B]` and returns `[B, m]`.

    row: int[], the sample that is left out; clip, beta, t: float[].
    Equation: liu2025cmorl [released extension term]
    """
    means = returns.mean(0, keepdims=True)
    clipped = jnp.clip(ratio, 1 - clip, 1 + clip)[:, None]
    bracket = jnp.minimum(beta * means - clipped * means, -_FLOOR)
    kept = (jnp.arange(len(ratio)) != row)[:, None]
    return -(kept * jnp.log(-bracket)).sum() / (t * kept.sum() * returns.shape[1])


def released_surrogate(ratio: Array, advantage: Array, progress: Array, extra: dict[str, Any]) -> Array:
    """The clipped surrogate less the released term, float[B], for `ppo.make`.

    ratio, advantage: `[B]`; progress: `[]`. The returns are what the critic is fitted to.
    """
    own: Released = extra["hyper"].surrogate
    term = released_term(
        ratio,
        extra["samples"].target,
        jnp.argmax(own.extended),
        clip=extra["hyper"].clip,
        beta=own.beta,
        t=own.t,
    )
    return ppo.clipped_surrogate(ratio, advantage, progress, extra) - term
