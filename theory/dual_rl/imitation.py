"""Imitation on finite MDPs, exactly: matching through a pseudo-reward, and ReCOIL as it was released.

Legend: `S` states, `A` actions; distributions over pairs are float64`[S, A]` of sum 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.dual_rl.objectives import awr_weight
from jaxrl.envs.tabular.mdp import TabularMDP
from theory.dual_rl.duality import Dual, dual_v
from theory.exact.occupancy import policy_of
from theory.exact.tables import tables


class Released(NamedTuple):
    """Fixed point of ReCOIL as released.

    v: float64`[S]`; q: float64`[S, A]`, 0 off the data; policy: float64`[S, A]`, cloned by weight.
    """

    v: np.ndarray
    q: np.ndarray
    policy: np.ndarray


def pseudo_reward(d_e: Any, d_o: Any) -> np.ndarray:
    """float64`[S, A]`, log d^E(s) / d^O(s): what a perfect discriminator of states says.

    Raises `UsageError` where the data visit a state that the expert never does: its reward is -inf.
    """
    expert, data = np.asarray(d_e).sum(1), np.asarray(d_o).sum(1)
    if np.any((expert == 0) & (data > 0)):
        raise UsageError("d_e: visits no state where d_o is positive; the log ratio is -inf there")
    used = data > 0
    ratio = np.log(np.where(used, expert, 1) / np.where(used, data, 1))
    return np.broadcast_to(ratio[:, None], np.shape(d_e)).copy()


def smodice(mdp: TabularMDP, d_e: Any, d_o: Any, key: str = "kl") -> Dual:
    """dual-V with the pseudo-reward: nearest to the expert's states among what the data cover."""
    return dual_v(mdp, d_o, key, reward=pseudo_reward(d_e, d_o))


def recoil_released(mdp: TabularMDP, d_e: Any, d_mix: Any, **options: Any) -> Released:
    """`released_fixed_point` of a finite MDP; options are passed on."""
    t = tables(mdp)
    return released_fixed_point(t.P.reshape(-1, t.P.shape[-1]), t.gamma, d_e, d_mix, **options)


def released_fixed_point(
    transitions: Any,
    gamma: float,
    d_e: Any,
    d_mix: Any,
    *,
    temperature: float = 1.0,
    gap: float = 2.0,
    awr: float = 3.0,
    beta: float = 0.5,
    seen: Callable[[np.ndarray], np.ndarray] | None = None,
    tolerance: float = 1e-12,
) -> Released:
    """The fixed point of ReCOIL's released updates, which contract with factor gamma.

        Q = share G + (1 - share) y,  y = -g + gamma P V,  G = g / (1 - gamma)
        V = temperature log E_{a ~ dmix(.|s)} e^(Q / temperature)
        share = beta dE / (beta dE + (1 - beta) dmix)

    transitions: `[S * A, S]`, P, an array or a sparse matrix of scipy. d_mix: distribution of the unlabelled
    data. gap: g. The policy clones `d_mix` with weights `awr_weight`. seen: what a Q that generalises makes
    of a distribution `[S, A]`, for example its average over actions that it cannot tell apart; the share is
    then that of what is seen. Default: of the distributions as they are.

    Raises `UsageError` where `d_mix` never visits a state.
    """
    d_e, d_mix = np.asarray(d_e, np.float64), np.asarray(d_mix, np.float64)
    if np.any(d_mix.sum(1) == 0):
        raise UsageError(f"d_mix: never visits state {int(d_mix.sum(1).argmin())}; V is undefined there")
    mu, target = policy_of(d_mix), gap / (1 - gamma)
    labelled, other = beta * d_e, (1 - beta) * d_mix
    if seen is not None:
        labelled, other = seen(labelled), seen(other)
    total = labelled + other
    share = np.where(total > 0, labelled / np.where(total > 0, total, 1), 0)
    v, change = np.zeros(len(d_mix)), np.inf
    while change > tolerance:
        q = np.where(total > 0, share * target + (1 - share) * (gamma * _next(transitions, v, mu) - gap), 0)
        drawn = np.where(mu > 0, q, -np.inf)
        top = drawn.max(1)
        new = top + temperature * np.log((mu * np.exp((drawn - top[:, None]) / temperature)).sum(1))
        v, change = new, np.abs(new - v).max()
    with jax.enable_x64(True):
        weight = np.asarray(awr_weight(jnp.asarray(q - v[:, None]), awr))
    return Released(v, q, policy_of(mu * weight))


def _next(transitions: Any, v: np.ndarray, like: np.ndarray) -> np.ndarray:
    """`[S, A]`, P V."""
    return (transitions @ v).reshape(like.shape)
