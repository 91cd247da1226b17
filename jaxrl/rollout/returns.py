"""Returns, advantages and off-policy corrections of a window of transitions.

Legend: `T` steps, `N` environments, `m` reward components. Every array argument is `[T, N]`, or `[T, N, m]`
for vector rewards; `discount`, `cut`, ratios and traces may stay `[T, N]` then. Shapes that do not fit raise
`UsageError`.

Two arrays say how episodes end, and `discount_and_cut` makes both:
    discount_t   what the successor's value is multiplied by; 0 where the episode terminated
    cut_t        bool, the next row belongs to another episode; nothing is carried across
Values come in pairs: `value_t = V(obs_t)` and `next_value_t = V(next_obs_t)`, the latter computed after the
unroll on the stored successors (`batched_apply`). There is no array of values shifted by one, because at the
end of an episode the next row is not the successor.

The end of the window counts as a cut: estimators with values bootstrap there. Gradients flow through every
argument; whoever wants a fixed target stops them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Share, Size, check_leaf, check_value
from jaxrl.core.tree import flatten_time
from jaxrl.core.types import Array, PyTree, Transition


def discount_and_cut(
    transitions: Transition, gamma: float | Array, bootstrap_truncated: bool = True
) -> tuple[Array, Array]:
    """`(discount [T, N], cut bool[T, N])` of transitions, in the dtype of the rewards.

    gamma: float[], or float[T, N] for a discount that depends on the state or is learned.
    bootstrap_truncated: True takes the successor's value where a time limit cut the episode; False treats the
        limit as an end, as some released implementations do. Either way nothing crosses the cut.
    """
    end = transitions.terminated if bootstrap_truncated else transitions.done
    _check_share(transitions.reward, "gamma", gamma)
    discount = jnp.where(end, 0, jnp.asarray(gamma, transitions.reward.dtype))
    return discount, transitions.done


def batched_apply(fn: Callable[[PyTree], PyTree], tree: PyTree, *, rows: int = 1024) -> PyTree:
    """`fn` of one row applied to every row of `tree`, leaves `[T, N, ...]`, at most `rows` at a time.

    Blocks of this size stay in the cache of a CPU, and bound the memory of `V(next_obs)` on any device.
    """
    rows = check_value("rows", rows, Size)
    t, n = jax.tree.leaves(tree)[0].shape[:2]
    out = jax.lax.map(fn, flatten_time(tree), batch_size=rows)
    return jax.tree.map(lambda x: x.reshape(t, n, *x.shape[1:]), out)


def gae(
    reward: Array, value: Array, next_value: Array, discount: Array, cut: Array, lambda_: float | Array
) -> Array:
    """Generalised advantage estimates, shape of `reward`.

    delta_t = r_t + discount_t v'_t - v_t;   A_t = delta_t + discount_t lambda (1 - cut_t) A_{t+1},   A_T = 0

    lambda_: in [0, 1]; float[] or an array like `discount`.

    Equation: schulman2016gae (16)
    """
    _check(reward, value=value, next_value=next_value, discount=discount, cut=cut)
    _check_share(reward, "lambda_", lambda_)
    discount, cut, lambda_ = _like(reward, discount, cut, lambda_)
    delta = reward + discount * next_value - value
    return _backward(delta, jnp.where(cut, 0, discount * lambda_))


def lambda_returns(
    reward: Array, next_value: Array, discount: Array, cut: Array, lambda_: float | Array
) -> Array:
    """Lambda-returns, shape of `reward`; equal to `gae(...) + value` if `v_{t+1} = v'_t` inside episodes.

    G_t = r_t + discount_t ((1 - l_t) v'_t + l_t G_{t+1}),   l_t = lambda (1 - cut_t),   G_T = v'_{T-1}

    lambda_: in [0, 1]; float[] or an array like `discount`.

    Equation: sutton2018rl [lambda-return]
    """
    _check(reward, next_value=next_value, discount=discount, cut=cut)
    _check_share(reward, "lambda_", lambda_)
    discount, cut, lambda_ = _like(reward, discount, cut, lambda_)
    trace = jnp.where(cut, 0, lambda_)
    return _backward(reward + discount * (1 - trace) * next_value, discount * trace, next_value[-1])


def n_step(reward: Array, next_value: Array, discount: Array, cut: Array, n: int) -> Array:
    """Returns that bootstrap after `n` steps, or earlier at a cut or the end of the window; like `reward`.

    G^1_t = r_t + discount_t v'_t;   G^k_t = r_t + discount_t (v'_t if cut_t or t = T - 1 else G^{k-1}_{t+1})

    Equation: sutton2018rl [n-step return]
    """
    _check(reward, next_value=next_value, discount=discount, cut=cut)
    n = check_value("n", n, Size)
    discount, cut = _like(reward, discount, cut)
    return _lengthened(reward, next_value, discount, cut, n)


def monte_carlo(reward: Array, discount: Array, cut: Array) -> tuple[Array, Array]:
    """`(returns, complete)`, shape of `reward`: discounted sums to the end of the episode, without values.

    G_t = r_t + discount_t (1 - cut_t) G_{t+1},   G_T = 0

    complete: bool, nothing is missing from the sum: a step with discount 0 follows before any cut. Rows whose
    episode was truncated, or goes on after the window, are not complete; leave them out of averages.
    """
    _check(reward, discount=discount, cut=cut)
    discount, cut = _like(reward, discount, cut)
    returns = _backward(reward, jnp.where(cut, 0, discount))
    ends = jnp.broadcast_to(discount == 0, reward.shape)
    complete = _backward(ends.astype(reward.dtype), (~cut & ~ends).astype(reward.dtype)) > 0
    return returns, complete


def reward_to_go(reward: Array, cut: Array) -> Array:
    """Undiscounted sums to the end of the episode or of the window, for finite horizons; shape of `reward`.

    G_t = r_t + (1 - cut_t) G_{t+1},   G_T = 0
    """
    _check(reward, cut=cut)
    (cut,) = _like(reward, cut)
    return _backward(reward, (~cut).astype(reward.dtype))


class VTrace(NamedTuple):
    """Targets of V-trace.

    target: regression target of the value; advantage: weight of the policy's score; both like `reward`.
    """

    target: Array
    advantage: Array


def vtrace(
    reward: Array, value: Array, next_value: Array, discount: Array, cut: Array, rho: Array, c: Array
) -> VTrace:
    """V-trace with truncated ratios `rho = min(rho_bar, pi / mu)` and `c = lambda min(c_bar, pi / mu)`.

    e_t = rho_t delta_t + discount_t c_t (1 - cut_t) e_{t+1},   e_T = 0,   target_t = v_t + e_t
    advantage_t = rho_t (r_t + discount_t (target_{t+1}, or v'_t at a cut or the window's end) - v_t)

    Equation: espeholt2018impala (1)
    """
    _check(reward, value=value, next_value=next_value, discount=discount, cut=cut, rho=rho, c=c)
    discount, cut, rho, c = _like(reward, discount, cut, rho, c)
    delta = rho * (reward + discount * next_value - value)
    target = value + _backward(delta, jnp.where(cut, 0, discount * c))
    later = jnp.where(cut, next_value, jnp.concatenate([target[1:], next_value[-1:]]))
    return VTrace(target, rho * (reward + discount * later - value))


def retrace(reward: Array, q: Array, next_value: Array, discount: Array, cut: Array, c: Array) -> Array:
    """Retrace targets of `q_t = Q(s_t, a_t)` with `v'_t = sum_a pi(a|s'_t) Q(s'_t, a)`; shape of `reward`.

    delta_t = r_t + discount_t v'_t - q_t
    e_t = delta_t + discount_t (1 - cut_t) c_{t+1} e_{t+1},   e_T = 0,   target_t = q_t + e_t

    c: traces; `lambda min(1, pi / mu)` is Retrace, `lambda` is Q(lambda), `pi` is tree backup, `pi / mu` is
    importance sampling.

    Equation: munos2016retrace [Retrace operator]
    """
    _check(reward, q=q, next_value=next_value, discount=discount, cut=cut, c=c)
    discount, cut, c = _like(reward, discount, cut, c)
    delta = reward + discount * next_value - q
    c_next = jnp.concatenate([c[1:], jnp.zeros_like(c[:1])])
    return q + _backward(delta, jnp.where(cut, 0, discount * c_next))


def per_decision_importance_sampling(
    reward: Array, next_value: Array, discount: Array, cut: Array, ratio: Array
) -> Array:
    """Off-policy returns in which every reward carries the ratios of the actions before it; like `reward`.

    G_t = ratio_t (r_t + discount_t (v'_t if cut_t or t = T - 1 else G_{t+1})),   ratio = pi / mu

    Unbiased for `E_pi` over whole episodes with `next_value = 0`.

    Equation: precup2000eligibility [per-decision importance sampling]
    """
    _check(reward, next_value=next_value, discount=discount, cut=cut, ratio=ratio)
    discount, cut, ratio = _like(reward, discount, cut, ratio)
    now = ratio * (reward + jnp.where(cut, discount * next_value, 0))
    return _backward(now, jnp.where(cut, 0, ratio * discount), next_value[-1])


def average_reward_gae(
    reward: Array, value: Array, next_value: Array, cut: Array, rate: float | Array, lambda_: float | Array
) -> Array:
    """Advantages of the average-reward criterion, shape of `reward`; `value` is the differential value.

    delta_t = r_t - rate + v'_t - v_t;   A_t = delta_t + lambda (1 - cut_t) A_{t+1},   A_T = 0

    For continuing problems: every cut is a truncation, since a terminated episode has no reward rate.
    rate: float[], or an array like `reward`; the mean reward of the window estimates it.

    Equation: zhang2021average [average-reward GAE]
    """
    reward = reward - rate
    return gae(reward, value, next_value, jnp.ones_like(reward), cut, lambda_)


# jitted, because a scan outside of jit compiles at every call; inlined where the caller is traced
@partial(jax.jit, static_argnames="n", inline=True)
def _lengthened(reward: Array, next_value: Array, discount: Array, cut: Array, n: int) -> Array:
    def lengthen(_: Array, returns: Array) -> Array:
        later = jnp.concatenate([returns[1:], next_value[-1:]])
        return reward + discount * jnp.where(cut, next_value, later)

    return jax.lax.fori_loop(1, n, lengthen, reward + discount * next_value)


@partial(jax.jit, inline=True)
def _backward(a: Array, b: Array, last: float | Array = 0.0) -> Array:
    """`x_t = a_t + b_t x_{t+1}` with `x_T = last`, over the leading axis."""

    def body(x: Array, ab: tuple[Array, Array]) -> tuple[Array, Array]:
        x = ab[0] + ab[1] * x
        return x, x

    return jax.lax.scan(body, jnp.broadcast_to(last, a.shape[1:]).astype(a.dtype), (a, b), reverse=True)[1]


def _check(reward: Array, **arrays: Array) -> None:
    """Raises `UsageError` unless `reward` is [T, N] or [T, N, m] with T >= 1 and the others fit it."""
    chex.assert_rank(
        reward, {2, 3}, custom_message="reward: must be [T, N] or [T, N, m]", exception_type=UsageError
    )
    if not reward.shape[0]:
        raise UsageError("reward: has no steps; give at least one")
    for name, x in arrays.items():
        broadcasts = name not in ("value", "next_value", "q") and jnp.ndim(x) == 2
        chex.assert_shape(
            x,
            reward.shape[:2] if broadcasts else reward.shape,
            custom_message=f"{name}: must fit the shape of reward",
            exception_type=UsageError,
        )
        if name == "cut" and x.dtype != bool:
            raise UsageError(f"cut: must be bool, got {x.dtype}; take it from discount_and_cut")


def _like(reward: Array, *arrays: float | Array) -> tuple[Array, ...]:
    """Arrays `[T, N]` as `[T, N, 1]` where `reward` is `[T, N, m]`."""
    return tuple(x[..., None] if jnp.ndim(x) == 2 < reward.ndim else jnp.asarray(x) for x in arrays)


def _check_share(reward: Array, name: str, x: float | Array) -> None:
    """Raises `UsageError` for an array that does not fit `reward`, or numbers outside [0, 1]."""
    check_leaf(name, x, Share)
    if jnp.ndim(x):
        _check(reward, **{name: jnp.asarray(x)})
