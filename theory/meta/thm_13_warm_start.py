"""Time inputs with weights of zero leave a blind rule as it is, and can then be learned.

Statement. Let a TA-LPG network and an LPG network agree in all weights they share, and let the rows of the
kernels that read n/N and log N be zero. Then both say the same, and lifetimes have the same fitness, for
every n and N; so that training continued from there compares time with its absence from one start. The
derivative of what it says in those rows is not zero, unlike at phi = 0.
(Protocol of a fair ablation; network transformation of Chen et al. 2016, Net2Net.)

Check. Networks of 8 units on random windows of 6 steps and 3 workers: what both say at N = 10 and N = 250
for n/N in {0, 0.5}, in float32, in which networks compute; the derivative in the new rows.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.types import Array, PyTree
from jaxrl.meta.objective import MASKS, Time, Window
from jaxrl.meta.targets import lpg
from theory.exact.result import Result

SIZES = {"predictions": 4, "embedding": 4, "width": 8}
LPG, TA_LPG = lpg(**SIZES), lpg(inputs=("n/N", "ln N"), **SIZES)
INPUTS = ("ir", "iz", "in")  # kernels of the recurrence that read the inputs
BLIND = 5  # inputs of LPG, which come first
ROUNDING = 1e-6  # of float32 numbers of size 1


def instance() -> tuple[PyTree, Window]:
    """Parameters of the network with time inputs, and windows of 6 steps and 3 workers."""
    rng = np.random.default_rng(0)
    y = (jnp.asarray(p, jnp.float32) for p in rng.dirichlet(np.ones(4), size=(2, 6, 3)))
    ends = jnp.asarray(rng.random((6, 3)) < 0.3)
    reward, prob = (jnp.asarray(x, jnp.float32) for x in (rng.normal(size=(6, 3)), rng.random((6, 3))))
    return TA_LPG.init(jax.random.key(0)), Window(reward, ends * 1.0, ends, prob, *y, jnp.float32(1))


def rows(phi: PyTree, change: PyTree) -> PyTree:
    """`phi` with every kernel of `INPUTS` replaced by `change(kernel)`."""
    cell = {k: {**v, "kernel": change(v["kernel"])} if k in INPUTS else v for k, v in phi["cell"].items()}
    return {**phi, "cell": cell}


@jax.jit
def says(phi: PyTree, window: Window, n: Array, N: Array) -> Array:
    """All that the network with time inputs says of a window, `[T, W, 1 + m]`; n, N: float[]."""
    pihat, yhat = TA_LPG.apply(phi, window, Time(n, N, MASKS["paper"]))
    return jnp.concatenate([pihat[..., None], yhat], -1)


def check(scale: float = 0.0) -> Result:
    """Differences from the blind rule, and 1 if the new rows have no derivative.

    scale: factor of the weights of the time inputs.
    """
    phi, window = instance()
    warm = rows(phi, lambda kernel: kernel.at[BLIND:].multiply(scale))
    blind = rows(phi, lambda kernel: kernel[:BLIND])
    pihat, yhat = jax.jit(LPG.apply)(blind, window, Time(jnp.float32(0), jnp.float32(1), MASKS["none"]))
    expected = jnp.concatenate([pihat[..., None], yhat], -1)
    times = [(share * N, N) for N in (10.0, 250.0) for share in (0.0, 0.5)]
    errors = [says(warm, window, jnp.float32(n), jnp.float32(N)) - expected for n, N in times]
    slope = jax.grad(lambda phi: says(phi, window, jnp.float32(5), jnp.float32(10))[..., 0].sum())(warm)
    new = jnp.stack([jnp.abs(slope["cell"][name]["kernel"][BLIND:]).max() for name in INPUTS])
    measured = max([float(jnp.abs(e).max()) for e in errors] + [float(new.min() == 0)])
    return Result(measured, ROUNDING, measured <= ROUNDING)


def broken() -> Result:
    """Weights of the time inputs as they are drawn."""
    return check(1.0)
