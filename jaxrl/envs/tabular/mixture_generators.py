"""Linear-mixture MDPs: random, hashed, combination lock, hard instance, and any tabular MDP."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Key
from jaxrl.envs.tabular.mdp import TabularMDP, simplex
from jaxrl.envs.tabular.mixture import LinearMixtureMDP, make_mixture


def random_mixture(
    key: Key, S: int, A: int, d: int, *, H: int | None = None, concentration: float | None = None
) -> LinearMixtureMDP:
    """Base kernels per feature and pair by `simplex`, theta uniform on the simplex, uniform start; pure.

    phi = kernels / sqrt d and theta = sqrt d * simplex, so that |phi_V| <= 1 for 0 <= V <= 1 and
    |theta| <= sqrt d.
    """
    k_phi, k_theta = jax.random.split(key)
    dtype = jnp.result_type(float)
    root = jnp.sqrt(jnp.asarray(d, dtype))
    kernels = simplex(k_phi, (S, A, d, S), concentration)
    theta = simplex(k_theta, (d,) if H is None else (H, d)) * root
    return LinearMixtureMDP(jnp.moveaxis(kernels, -1, -2) / root, theta, jnp.full(S, 1 / S, dtype))


def hashed_mixture(
    S: int, A: int, d: int, factors: tuple[int, int, int, int], modulus: int
) -> LinearMixtureMDP:
    """Irregular kernels by arithmetic, P_i(x | s, a) ~ 1 + ((c0 i + c1 s + c2 a + c3 x)^2 mod modulus)^2,
    with weights ~ i + 1, i = 0 .. d - 1; scaled as `random_mixture`, start 0.
    """
    i, s, a, x = np.ix_(*map(np.arange, (d, S, A, S)))
    hashed = (factors[0] * i + factors[1] * s + factors[2] * a + factors[3] * x) ** 2 % modulus
    weight = 1.0 + hashed**2
    kernels = weight / weight.sum(-1, keepdims=True)
    theta = np.arange(1, d + 1) / np.arange(1, d + 1).sum()
    return make_mixture(np.moveaxis(kernels, 0, -1) / np.sqrt(d), theta * np.sqrt(d))


def lock(n: int, A: int, p_good: float, p_bad: float) -> LinearMixtureMDP:
    """Combination lock: from each of `n` states action (2 s + 1) mod A advances with `p_good`, any other with
    `p_bad`, else the sink n + 1; goal n and sink absorb. d = n A + 1, start 0.
    """
    if n < 1 or A < 1:
        raise UsageError(f"lock.{'n' if n < 1 else 'A'}: must be >= 1, got {n if n < 1 else A}")
    for name, p in (("p_good", p_good), ("p_bad", p_bad)):
        if not 0 <= p <= 1:
            raise UsageError(f"lock.{name}: must be a probability in [0, 1], got {p}")
    c, d, goal, sink = np.sqrt(0.5), n * A + 1, n, n + 1
    phi, theta = np.zeros((n + 2, A, n + 2, d)), np.zeros(d)
    theta[0] = 1 / c
    phi[goal, :, goal, 0] = phi[sink, :, sink, 0] = c
    for s in range(n):
        for a in range(A):
            i = 1 + s * A + a
            phi[s, a, s + 1, i] = c
            phi[s, a, sink, 0], phi[s, a, sink, i] = c, -c
            theta[i] = (p_good if a == (2 * s + 1) % A else p_bad) / c
    return make_mixture(phi, theta)


def hard_instance(d: int, episodes: int = 1000, signs: Sequence[int] | None = None) -> LinearMixtureMDP:
    """The instance of the lower bound (2303.10165; scalings of LDP-UCRL-VTR): A = 2^(d - 1), start 0.

    From state 0 action a leads to state 2 with probability 1/6 + sum_j a_j mu_j, otherwise to state 1; both
    absorb. a_j is +1 where bit j of the action's index is set, else -1; mu_j = signs_j Delta with
    Delta = sqrt(1 / (6 episodes)) / (4 sqrt 2), and |theta| = 1 + Delta (d - 1).

    episodes: a constant of the instance, not the length of a run. signs: +1 or -1 `[d - 1]`, by default +1.
    Raises `UsageError` for d < 2, episodes < 1, other signs, and probabilities below 0 (episodes too few).
    """
    if d < 2 or episodes < 1:
        name, least, value = ("d", 2, d) if d < 2 else ("episodes", 1, episodes)
        raise UsageError(f"hard_instance.{name}: must be >= {least}, got {value}")
    signs = np.ones(d - 1) if signs is None else np.asarray(signs, np.float64)
    if signs.shape != (d - 1,) or np.any(np.abs(signs) != 1):
        raise UsageError(
            f"hard_instance.signs: must be +1 or -1, d - 1 = {d - 1} of them, got {signs.tolist()}"
        )
    p = 1 / 6
    gap = np.sqrt(p / episodes) / (4 * np.sqrt(2))
    if gap * (d - 1) > p:
        least = int(np.ceil((d - 1) ** 2 / (32 * p)))
        raise UsageError(f"hard_instance.episodes: with d = {d} at least {least} are needed, got {episodes}")
    scale = 1 + gap * (d - 1)
    alpha, beta = np.sqrt(1 / scale), np.sqrt(gap / scale)
    actions = 2.0 * (np.arange(2 ** (d - 1))[:, None] >> np.arange(d - 1) & 1) - 1
    phi = np.zeros((3, len(actions), 3, d))
    phi[0, :, 1, 0], phi[0, :, 1, 1:] = alpha * (1 - p), -beta * actions
    phi[0, :, 2, 0], phi[0, :, 2, 1:] = alpha * p, beta * actions
    phi[1, :, 1, 0] = phi[2, :, 2, 0] = alpha
    return make_mixture(phi, np.concatenate([[1 / alpha], gap * signs / beta]))


def tabular_mixture(mdp: TabularMDP) -> LinearMixtureMDP:
    """Any tables as a mixture, d = S^2 A: phi(s, a, s') = e_(s, a, s') / sqrt S, theta = sqrt S vec(P)."""
    S, A = mdp.n_states, mdp.n_actions
    P = np.asarray(mdp.P, np.float64)
    phi = np.eye(S * A * S).reshape(S, A, S, S * A * S) / np.sqrt(S)
    return make_mixture(phi, P.reshape(*P.shape[:-3], -1) * np.sqrt(S), np.asarray(mdp.mu0, np.float64))
