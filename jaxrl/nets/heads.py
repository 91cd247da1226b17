"""Policy heads and value heads: distributions as pure functions of one parameter array.

The only file that uses distrax, and never beyond a traced function: what crosses functions is the parameter
array (logits, or mean and log standard deviation) and the *raw* action, the sample before squashing. Keep raw
actions in transition records: the log-probability of a squashed action at the bounds is not finite.

Legend: `...` any batch axes; `p` parameters per action (`Head.size`); `d` action coordinates; `m` rewards.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete, Space, is_space
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.nets.net import Activation, Initial, Net, mlp

with warnings.catch_warnings():  # tensorflow-probability touches names that jax has deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    import distrax

WIDEST = 20.0
"""Largest magnitude of the log standard deviation of `normal`."""

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(20)


class Head(NamedTuple):
    """A family of distributions over one action space.

    size: length `p` of the parameter array; gaussian: it is mean and log standard deviation, `p = 2d`.
    sample: `(key, params [..., p]) -> raw`.
    log_prob: `(params, raw) -> float[...]`.
    sample_and_log_prob: `(key, params) -> (raw, float[...])`.
    entropy: `(params) -> float[...]`.
    mode: `(params) -> raw`, the greedy action.
    kl: `(params, other) -> float[...]`, KL(params || other).
    to_action: `(raw) -> action`, an element of the space (one per leading index).
    from_action: `(action) -> raw`, for actions that were recorded elsewhere.
    """

    size: int
    gaussian: bool
    sample: Callable[[Key, Array], Array]
    log_prob: Callable[[Array, Array], Array]
    sample_and_log_prob: Callable[[Key, Array], tuple[Array, Array]]
    entropy: Callable[[Array], Array]
    mode: Callable[[Array], Array]
    kl: Callable[[Array, Array], Array]
    to_action: Callable[[Array], PyTree]
    from_action: Callable[[PyTree], Array]


def policy_head(space: Space, *, squash: bool = False) -> Head:
    """The head for an action space: `categorical`, `multi_categorical`, `normal`, or `tanh_normal`.

    Raises:
        ValueError: the space mixes `Box` with other spaces, is not of floats, or is unbounded with `squash`.
    """
    if isinstance(space, Discrete):
        return categorical(space.n)
    if isinstance(space, Box):
        return tanh_normal(space) if squash else normal(space)
    leaves = jax.tree.leaves(space, is_leaf=is_space)
    if not leaves or not all(isinstance(leaf, Discrete) for leaf in leaves):
        raise ValueError(
            f"action_space: no policy head for {space}; use Discrete, Box, or a tuple of Discrete"
        )
    return multi_categorical(space)


def categorical(n: int) -> Head:
    """Categories `0 .. n - 1` with logits [..., n]; raw actions are the actions, int32[...].

    The log-probability of an integer outside of them is -inf; `UsageError` for raw actions that are floats.
    """

    def build(params: Array) -> distrax.Categorical:
        return distrax.Categorical(logits=params, dtype=jnp.int32)

    def log_prob(params: Array, raw: Array) -> Array:
        if not jnp.issubdtype(raw.dtype, jnp.integer):
            raise UsageError(f"raw: actions of categories are integers, got {raw.dtype}")
        return build(params).log_prob(raw)

    def sample_and_log_prob(key: Key, params: Array) -> tuple[Array, Array]:
        raw = build(params).sample(seed=key)
        return raw, build(params).log_prob(raw)

    return Head(
        size=n,
        gaussian=False,
        sample=lambda key, params: build(params).sample(seed=key),
        log_prob=log_prob,
        sample_and_log_prob=sample_and_log_prob,
        entropy=lambda params: build(params).entropy(),
        mode=lambda params: build(params).mode(),
        kl=lambda params, other: build(params).kl_divergence(build(other)),
        to_action=lambda raw: raw,
        from_action=lambda action: action,
    )


def multi_categorical(space: Space) -> Head:
    """Independent categories, one per `Discrete` leaf of a nested space; raw int32[..., leaves]."""
    leaves, treedef = jax.tree.flatten(space, is_leaf=is_space)
    heads = [categorical(leaf.n) for leaf in leaves]
    cuts = np.cumsum([head.size for head in heads])[:-1].tolist()

    def total(method: str, *arrays: Array) -> Array:
        columns = zip(heads, *arrays, strict=True)
        return sum((getattr(head, method)(*parts) for head, *parts in columns), start=jnp.zeros(()))

    def split(params: Array) -> list[Array]:
        return jnp.split(params, cuts, axis=-1)

    def parts(raw: Array) -> list[Array]:
        return [raw[..., i] for i in range(len(heads))]

    def sample(key: Key, params: Array) -> Array:
        keys = jax.random.split(key, len(heads))
        columns = zip(heads, keys, split(params), strict=True)
        return jnp.stack([head.sample(k, p) for head, k, p in columns], axis=-1)

    def log_prob(params: Array, raw: Array) -> Array:
        return total("log_prob", split(params), parts(raw))

    def sample_and_log_prob(key: Key, params: Array) -> tuple[Array, Array]:
        raw = sample(key, params)
        return raw, log_prob(params, raw)

    return Head(
        size=sum(head.size for head in heads),
        gaussian=False,
        sample=sample,
        log_prob=log_prob,
        sample_and_log_prob=sample_and_log_prob,
        entropy=lambda params: total("entropy", split(params)),
        mode=lambda params: jnp.stack(
            [h.mode(p) for h, p in zip(heads, split(params), strict=True)], axis=-1
        ),
        kl=lambda params, other: total("kl", split(params), split(other)),
        to_action=lambda raw: treedef.unflatten(parts(raw)),
        from_action=lambda action: jnp.stack(treedef.flatten_up_to(action), axis=-1),
    )


def normal(space: Box) -> Head:
    """Independent normals, params [..., 2d] = mean, log standard deviation; raw float[..., d].

    The log-probability is that of the raw action; the action is the raw one clipped to the bounds. The log
    standard deviation is clipped to +-20, so far out that densities, entropies and divergences stay finite.
    """
    d, low, high = _bounds(space)

    def build(params: Array) -> distrax.Normal:
        return distrax.Normal(params[..., :d], jnp.exp(jnp.clip(params[..., d:], -WIDEST, WIDEST)))

    return _gaussian(
        space,
        build,
        log_det=jnp.zeros_like,
        entropy=lambda params: build(params).entropy().sum(-1),
        squash=lambda raw: jnp.clip(raw, *_like(raw, low, high)),
        unsquash=lambda action: action,
    )


def tanh_normal(space: Box, log_std: tuple[float, float] = (-5.0, 2.0)) -> Head:
    """Normals squashed by tanh and stretched to the bounds; params and raw as in `normal`.

    `log_std` clips the log standard deviation. Densities are those of `tanh(raw)` on (-1, 1)^d, with
    log tanh' = 2 (log 2 - u - softplus(-2u)). The KL is that of the normals (tanh is a bijection). The
    entropy is a 20-node Gauss-Hermite quadrature per coordinate (error below 1e-3 for standard deviations up
    to 1). `from_action` clips to 1 - 1e-6 of the range. A coordinate whose bounds are equal has that action.

    Raises:
        ValueError: bounds that are not finite, or whose distance float32 cannot hold.
    """
    middle, half = affine(space)
    d = len(half)
    width = np.where(half == 0, 1, half)
    tanh = distrax.Tanh()

    def build(params: Array) -> distrax.Normal:
        return distrax.Normal(params[..., :d], jnp.exp(jnp.clip(params[..., d:], *log_std)))

    def entropy(params: Array) -> Array:
        base = build(params)
        nodes = base.loc[..., None] + jnp.tensordot(base.scale, jnp.asarray(_NODES, base.scale.dtype), axes=0)
        weights = jnp.asarray(_WEIGHTS / math.sqrt(2 * math.pi), base.scale.dtype)
        return (base.entropy() + tanh.forward_log_det_jacobian(nodes) @ weights).sum(-1)

    def squash(raw: Array) -> Array:
        centre, scale = _like(raw, middle, half)
        return centre + scale * jnp.tanh(raw)

    def unsquash(action: Array) -> Array:
        centre, scale = _like(action, middle, width)
        return jnp.arctanh(jnp.clip((action - centre) / scale, -1 + 1e-6, 1 - 1e-6))

    return _gaussian(
        space,
        build,
        log_det=tanh.forward_log_det_jacobian,
        entropy=entropy,
        squash=squash,
        unsquash=unsquash,
    )


def affine(space: Box) -> tuple[np.ndarray, np.ndarray]:
    """`(middle, half)` of the bounds, float32[d] each: actions are `middle + half * x` for x in [-1, 1]^d.

    Raises:
        ValueError: bounds that are not finite, or whose distance float32 cannot hold.
    """
    _, low, high = _bounds(space)
    if not (np.all(np.isfinite(low)) and np.all(np.isfinite(high))):
        raise ValueError("action_space: squashing needs finite bounds")
    if np.any(high.astype(np.float64) - low > np.finfo(np.float32).max):
        raise ValueError("action_space: the distance of the bounds is beyond float32; narrow them")
    return (high + low) / 2, (high - low) / 2


def policy(
    n_inputs: int,
    head: Head,
    widths: tuple[int, ...] = (64, 64),
    activation_name: Activation = "tanh",
    *,
    free_log_std: bool = False,
    last_scale: float = 0.01,
    initial: Initial = "orthogonal",
) -> Net:
    """Network from features [..., k] to the parameters of a head, `float32[..., head.size]`.

    `free_log_std`: for normals, the second half of the parameters is a free vector (initially 0), the same in
    every state, and the network gives the means only. last_scale, initial: of `mlp`.

    Raises:
        ValueError: `free_log_std` for a head without deviations.
    """
    if free_log_std and not head.gaussian:
        raise ValueError("free_log_std: only normals have a standard deviation")
    if not free_log_std:
        return mlp((n_inputs, *widths, head.size), activation_name, last_scale=last_scale, initial=initial)
    d = head.size // 2
    mean = mlp((n_inputs, *widths, d), activation_name, last_scale=last_scale, initial=initial)

    def apply(params: PyTree, x: Array) -> Array:
        loc = mean.apply(params["mean"], x)
        return jnp.concatenate([loc, jnp.broadcast_to(params["log_std"], loc.shape)], axis=-1)

    return Net(init=lambda key: {"mean": mean.init(key), "log_std": jnp.zeros(d)}, apply=apply)


def value(
    n_inputs: int,
    reward_dim: int | None,
    widths: tuple[int, ...] = (64, 64),
    activation_name: Activation = "tanh",
    *,
    initial: Initial = "orthogonal",
    layer_norm: bool = False,
) -> Net:
    """Network from features [..., k] to values: `float32[...]`, or `[..., m]` for `reward_dim = m`.

    initial, layer_norm: of `mlp`.
    """
    sizes = (n_inputs, *widths, reward_dim or 1)
    net = mlp(sizes, activation_name, initial=initial, layer_norm=layer_norm)
    if reward_dim is not None:
        return net
    return Net(net.init, lambda params, x: net.apply(params, x)[..., 0])


def _bounds(space: Box) -> tuple[int, np.ndarray, np.ndarray]:
    """Coordinates and flat float32 bounds [d] of a box."""
    if not np.issubdtype(space.dtype, np.floating):
        raise ValueError(f"action_space: a normal policy needs floats, the box has {np.dtype(space.dtype)}")
    d = math.prod(space.shape)
    low, high = (
        np.broadcast_to(np.asarray(b, np.float32), space.shape).ravel() for b in (space.low, space.high)
    )
    return d, low, high


def _like(raw: Array, *bounds: np.ndarray) -> list[Array]:
    """Bounds [d] with the shape of `raw` [..., d]."""
    return [jnp.broadcast_to(jnp.asarray(bound, raw.dtype), raw.shape) for bound in bounds]


def _gaussian(
    space: Box,
    build: Callable[[Array], distrax.Normal],
    log_det: Callable[[Array], Array],
    entropy: Callable[[Array], Array],
    squash: Callable[[Array], Array],
    unsquash: Callable[[Array], Array],
) -> Head:
    """What `normal` and `tanh_normal` share; `squash` and `log_det` act on raw actions [..., d]."""
    d = math.prod(space.shape)

    def log_prob(params: Array, raw: Array) -> Array:
        return (build(params).log_prob(raw) - log_det(raw)).sum(-1)

    def sample(key: Key, params: Array) -> Array:
        return build(params).sample(seed=key)

    def sample_and_log_prob(key: Key, params: Array) -> tuple[Array, Array]:
        raw = sample(key, params)
        return raw, log_prob(params, raw)

    def to_action(raw: Array) -> Array:
        return squash(raw).reshape(*raw.shape[:-1], *space.shape)

    def from_action(action: Array) -> Array:
        return unsquash(action.reshape(*action.shape[: action.ndim - len(space.shape)], d))

    return Head(
        size=2 * d,
        gaussian=True,
        sample=sample,
        log_prob=log_prob,
        sample_and_log_prob=sample_and_log_prob,
        entropy=entropy,
        mode=lambda params: build(params).loc,
        kl=lambda params, other: build(params).kl_divergence(build(other)).sum(-1),
        to_action=to_action,
        from_action=from_action,
    )
