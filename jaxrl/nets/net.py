"""Networks as pairs of pure functions on plain dicts of arrays; flax stays in this file.

Legend: `...` any batch axes; `k` input features; `T` steps, `N` environments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.spaces import Discrete, Space, is_space
from jaxrl.core.types import Array, Key, PyTree

Activation = Literal["tanh", "relu", "swish", "gelu", "elu"]
"""Names of the elementwise functions between layers."""
Initial = Literal["orthogonal", "uniform", "lecun"]
"""Initial distributions of the weights of `mlp` and `linear`."""

_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "gelu": jax.nn.gelu,
    "elu": jax.nn.elu,
}


class Net(NamedTuple):
    """A parametrised function.

    init: `(key) -> params`, a plain nested dict of float32 arrays. Always call it as `jit(init)` or
        `jit(vmap(init))`: eager initialisation is slow.
    apply: `(params, *inputs) -> outputs`, any batch axes.
    """

    init: Callable[[Key], PyTree]
    apply: Callable[..., Any]


def activation(name: Activation) -> Callable[[Array], Array]:
    """The elementwise function of that name.

    Raises:
        ValueError: the name is none of `Activation`.
    """
    if name not in _FUNCTIONS:
        raise ValueError(f"activation: {name!r} is none of {', '.join(_FUNCTIONS)}")
    return _FUNCTIONS[name]


def orthogonal(scale: float = 1.0) -> Callable[..., Array]:
    """Initialiser `(key, shape [n, m], dtype) -> kernel` with orthonormal rows or columns, times `scale`.

    The polar factor of a Gaussian matrix, uniform over such kernels, by the Newton-Schulz iteration
    X <- (3 X - X X'X) / 2 from ||X|| <= 1. Products alone, because the usual QR factorisation in batches can
    block jaxlib's CPU threads for ever. 40 rounds take singular values from 1e-6 to 1.
    """

    def init(key: Key, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
        x = _polar_factor(jax.random.normal(key, (max(shape), min(shape)), dtype))
        return scale * (x if shape[0] >= shape[1] else x.T)

    return init


# jitted, because a loop outside of jit compiles at every call; inlined where the caller is traced
@partial(jax.jit, inline=True)
def _polar_factor(x: Array) -> Array:
    def polish(_: int, x: Array) -> Array:
        gram = jnp.matmul(x.T, x, precision=jax.lax.Precision.HIGHEST)
        return 1.5 * x - 0.5 * jnp.matmul(x, gram, precision=jax.lax.Precision.HIGHEST)

    return jax.lax.fori_loop(0, 40, polish, x / jnp.linalg.norm(x))


def symmetric_uniform(bound: float) -> Callable[..., Array]:
    """Initialiser `(key, shape, dtype) -> array`, uniform on [-bound, bound]."""

    def init(key: Key, shape: tuple[int, ...], dtype: Any = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def _kernel(initial: Initial, n_inputs: int, scale: float) -> Callable[..., Array]:
    """Initialiser `(key, shape, dtype)` of a kernel with that many inputs."""
    if initial == "uniform":
        return symmetric_uniform(n_inputs**-0.5)
    return nn.initializers.lecun_normal() if initial == "lecun" else orthogonal(scale)


class _MLP(nn.Module):
    widths: tuple[int, ...]
    activation: Callable[[Array], Array]
    scale: float
    last_scale: float
    initial: Initial
    layer_norm: bool
    bias: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        last = len(self.widths) - 1
        for i, width in enumerate(self.widths):
            kernel = _kernel(self.initial, x.shape[-1], self.last_scale if i == last else self.scale)
            bias = kernel if self.initial == "uniform" else nn.initializers.zeros
            dense = nn.Dense(width, self.bias, kernel_init=kernel, bias_init=bias, dtype=self.dtype)
            x = dense(x)
            if i < last:
                x = self.activation(nn.LayerNorm(dtype=self.dtype)(x) if self.layer_norm else x)
        return x.astype(jnp.float32)


def mlp(
    sizes: tuple[int, ...],
    activation_name: Activation = "tanh",
    *,
    scale: float = 2**0.5,
    last_scale: float = 1.0,
    initial: Initial = "orthogonal",
    layer_norm: bool = False,
    bias: bool = True,
    dtype: Any = jnp.float32,
) -> Net:
    """Fully connected network `apply(params, x [..., sizes[0]]) -> float32[..., sizes[-1]]`, linear output.

    initial: "orthogonal", kernels with gain `scale` (`last_scale` in the last layer), biases zero; "uniform",
        kernels and biases uniform on +-1 / sqrt(width of the input), as torch's Linear has them; or "lecun",
        kernels truncated normal with variance 1 / width of the input, biases zero, as flax has them.
    layer_norm: standardises each hidden layer over its units, with a learned scale and bias, before the
        activation.
    bias: whether layers add one; without, an odd activation makes the network odd, and 0 at 0.
    `dtype` is the compute type; parameters and output are float32. `sizes` of length 2 is a linear map.

    Raises:
        ValueError: fewer than two sizes, a size below 1, an unknown activation or initial distribution.
    """
    _check_initial(initial)
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"sizes: needs an input and an output width, all >= 1, got {sizes}")
    function = activation(activation_name)
    module = _MLP(tuple(sizes[1:]), function, scale, last_scale, initial, layer_norm, bias, dtype)
    return Net(
        init=lambda key: module.init(key, jnp.zeros(sizes[0], jnp.float32))["params"],
        apply=lambda params, x: module.apply({"params": params}, x),
    )


def linear(space: Space, size: int, *, initial: Initial = "lecun") -> Net:
    """Bias-free linear map of one element of a (nested) space, `apply(params, x) -> float32[..., size]`.

    Equal to the product of `features(space)` with `params["kernel"]`, float32[k, size], in value and
    gradient, but every `Discrete` leaf, integers [...] of any type, selects its row; there is no one-hot
    vector. x: an element of the space, whose leaves may have leading batch axes in common.
    initial: of `mlp`, with gain 1.

    Raises:
        ValueError: a size below 1, a space without leaves, or an unknown initial distribution.
    """
    _check_initial(initial)
    leaves, treedef = jax.tree.flatten(space, is_leaf=is_space)
    if size < 1 or not leaves:
        raise ValueError(f"size: needs an output width >= 1 and a space with leaves, got {size} and {space}")
    ends = np.cumsum([_n_features(leaf) for leaf in leaves]).tolist()

    def init(key: Key) -> PyTree:
        return {"kernel": _kernel(initial, ends[-1], 1.0)(key, (ends[-1], size), jnp.float32)}

    def apply(params: PyTree, x: PyTree) -> Array:
        parts = []
        for leaf, end, v in zip(leaves, ends, treedef.flatten_up_to(x), strict=True):
            start = end - _n_features(leaf)
            if isinstance(leaf, Discrete):
                rows = start + jnp.asarray(v, jnp.int32)  # a sum in the type of v may wrap
                parts.append(params["kernel"][rows])
            else:
                flat = jnp.reshape(v, (*jnp.shape(v)[: jnp.ndim(v) - len(leaf.shape)], end - start))
                parts.append(flat.astype(jnp.float32) @ params["kernel"][start:end])
        return sum(parts[1:], start=parts[0])

    return Net(init, apply)


def gru(n_inputs: int, width: int, *, dtype: Any = jnp.float32) -> Net:
    """One step of a gated recurrent unit, `apply(params, memory [..., width], x [..., k]) -> memory`.

    r = sig(W_ir x + b_ir + W_hr h), z = sig(W_iz x + b_iz + W_hz h),
    n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h. An episode starts with zero memory.
    Source: Cho et al. 2014 (1406.1078), in the variant of flax's and torch's cells.
    """
    if width < 1:
        raise ValueError(f"width: must be >= 1, got {width}")
    cell = nn.GRUCell(width, dtype=dtype, recurrent_kernel_init=orthogonal())
    return Net(
        init=lambda key: cell.init(key, jnp.zeros(width), jnp.zeros(n_inputs))["params"],
        apply=lambda params, memory, x: cell.apply({"params": params}, memory, x)[0].astype(jnp.float32),
    )


def scan_memory(cell: Net, params: PyTree, memory: Array, inputs: Array, restart: Array) -> Array:
    """A recurrent cell over time: memories *after* each step, float[T, N, width].

    memory: float[N, width] before the first step; inputs: float[T, N, k]; restart: bool[T, N], set where step
    `t` begins an episode, so that the memory is zero before it.
    """
    return _memories(cell, params, memory, inputs, restart)


@partial(jax.jit, static_argnames="cell", inline=True)
def _memories(cell: Net, params: PyTree, memory: Array, inputs: Array, restart: Array) -> Array:
    def body(memory: Array, xs: tuple[Array, Array]) -> tuple[Array, Array]:
        x, fresh = xs
        memory = cell.apply(params, jnp.where(fresh[:, None], 0.0, memory), x)
        return memory, memory

    return jax.lax.scan(body, memory, (inputs, restart))[1]


def ensemble(net: Net, n: int) -> Net:
    """`n` independently initialised copies: parameters and outputs get a leading axis `[n, ...]`.

    Inputs are shared by all copies.
    """
    if n < 1:
        raise ValueError(f"n: an ensemble needs at least one member, got {n}")
    return Net(
        init=lambda key: jax.vmap(net.init)(jax.random.split(key, n)),
        apply=lambda params, *inputs: jax.vmap(lambda p: net.apply(p, *inputs))(params),
    )


def features(space: Space) -> tuple[int, Callable[[PyTree], Array]]:
    """`(k, encode)` with `encode(x) -> float32[k]` for one element of a (nested) space.

    `Discrete` becomes one-hot, `Box` is flattened, nested spaces are concatenated in `jax.tree` order.
    """
    leaves, treedef = jax.tree.flatten(space, is_leaf=is_space)
    size = sum(map(_n_features, leaves))

    def encode(x: PyTree) -> Array:
        parts = [
            jax.nn.one_hot(v, leaf.n, dtype=jnp.float32)
            if isinstance(leaf, Discrete)
            else jnp.ravel(v).astype(jnp.float32)
            for leaf, v in zip(leaves, treedef.flatten_up_to(x), strict=True)
        ]
        return parts[0] if len(parts) == 1 else jnp.concatenate(parts)

    return size, encode


def _n_features(leaf: Space) -> int:
    """Length of the features of one leaf of a space."""
    return leaf.n if isinstance(leaf, Discrete) else math.prod(leaf.shape)


def _check_initial(initial: str) -> None:
    if initial not in get_args(Initial):
        raise ValueError(f"initial: {initial!r} is none of {', '.join(get_args(Initial))}")
