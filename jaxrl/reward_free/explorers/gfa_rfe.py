"""GFA-RFE: the disagreement of value functions, weighted by certainty (Zhang et al. 2024, 2406.16255).

    std(s, a) = standard deviation of Q'_i(s, a) over i = 1..n, divisor n - 1
    reward    = min(c std(s, a), c_max)
    y         = clip(reward + gamma mean_i Q'_i(s', mu(s')), 0, y_max)
    minimise    mean (Q_i(s, a) - y)^2 / clip(std(s, a), low, high)^2      for one i per step, in turn
    Q'_i        <- Q'_i + tau (Q_i - Q'_i)                                 for all i

The Q_i are values of the intrinsic reward itself: what is uncertain later counts now. Weights follow the
weighted regression of the theory, which trusts a target less where the value functions differ. Values are
those of the released code; in the text c = 1 - gamma, tau = 0.01 and std is not clipped in the weights. The
code draws initial weights and biases uniform on +-1 / sqrt(number of outputs) instead of inputs, so that the
Q_i differ widely from the start: `Config.initial` has both.

Legend: `B` batch size, `n` value functions, `k` observation features, `d` action coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.baselines import td3
from jaxrl.core.descent import descend
from jaxrl.core.fields import NonNegative, Positive, Range, Share, Size
from jaxrl.core.types import Algorithm, Array, Key, PyTree, struct
from jaxrl.envs.base import Env
from jaxrl.nets import net
from jaxrl.reward_free.explorers.learner import explorer, sizes


@dataclass(frozen=True)
class Config(td3.Config):
    """Static choices of GFA-RFE: those of TD3, and the value functions whose disagreement is the reward."""

    module_widths: tuple[Size, ...] = (256, 256)
    """Hidden units per layer of every value function, each standardised. Code: (1024, 1024)."""
    values: Annotated[int, Range(2)] = 10
    """Number n of value functions, at least 2. Code: 10."""
    initial: Literal["inputs", "outputs"] = "inputs"
    """Whose number bounds the initial weights and biases of a layer, uniform on +-1 / sqrt of it.
    Code: outputs, which takes the fan from the wrong axis."""


@struct.dataclass
class Hyper(td3.Hyper):
    """Hyper-parameters of GFA-RFE: those of TD3, and of the value functions."""

    lr_module: NonNegative = 1e-4
    """Learning rate of the value functions, >= 0. Code: 1e-4."""
    tau_module: Share = 0.001
    """Step of the soft update of their target networks, in [0, 1]. Code: 0.001; text: 0.01."""
    bonus: NonNegative = 2.0
    """Reward c per unit of standard deviation, >= 0. Code: 2; text: 1 - gamma."""
    bonus_max: Positive = 10.0
    """Largest reward c_max, > 0. Code: 10."""
    target_max: Positive = 500.0
    """Largest target y_max of the regression, > 0. Code: 500."""
    std_min: Positive = 0.1
    """Least standard deviation in the weights of the regression, > 0. Code: 0.1."""
    std_max: Positive = 10.0
    """Largest standard deviation in the weights of the regression, > 0. Code: 10."""


class Module(NamedTuple):
    """State of GFA-RFE.

    values, target: parameters of all Q_i and Q'_i, leaves [n, ...]; steps: int32[], regressions so far.
    """

    values: PyTree
    target: PyTree
    opt_state: PyTree
    steps: Array


def make(config: Config, env: Env, *, optimiser: optax.GradientTransformation | None = None) -> Algorithm:
    """TD3 with the reward of GFA-RFE on `env`; `data` of the algorithm is the environment's parameters.

    optimiser: optax transformation of the gradients of actor and critics; default Adam.

    Raises `UsageError` as `td3.make` does.
    """
    return explorer(__name__, config, env, optimiser, intrinsic(config, *sizes(env)))


def intrinsic(config: Config, k: int, d: int) -> td3.Intrinsic:
    """The reward of GFA-RFE for `k` observation features and `d` action coordinates."""
    one = net.mlp((k + d, *config.module_widths, 1), "relu", initial="uniform", layer_norm=True)
    if config.initial == "outputs":
        one = one._replace(init=lambda key, init=one.init: bounded_by_outputs(init(key)))
    network = net.ensemble(one, config.values)
    optimiser = optax.scale_by_adam()

    def init(key: Key) -> Module:
        values = network.init(key)
        return Module(values, values, optimiser.init(values), jnp.zeros((), jnp.int32))

    def all_values(params: PyTree, obs: Array, action: Array) -> Array:
        return network.apply(params, jnp.concatenate([obs, action], -1))[..., 0]

    def reward(state: Module, hyper: Hyper, obs: Array, action: Array, next_obs: Array) -> Array:
        return disagreement(all_values(state.target, obs, action), hyper)

    def update(
        state: Module,
        hyper: Hyper,
        key: Key,
        obs: Array,
        action: Array,
        next_obs: Array,
        next_action: Array,
    ) -> Module:
        here = all_values(state.target, obs, action)
        y, weight = regression(here, all_values(state.target, next_obs, next_action), hyper)
        turn = state.steps % config.values

        def loss(values: PyTree) -> Array:
            q = one.apply(jax.tree.map(lambda x: x[turn], values), jnp.concatenate([obs, action], -1))[..., 0]
            return (weight * jnp.square(q - y)).mean()

        grad = jax.grad(loss)(state.values)
        values, opt_state = descend(optimiser, grad, state.opt_state, state.values, hyper.lr_module)
        target = optax.incremental_update(values, state.target, hyper.tau_module)
        return Module(values, target, opt_state, state.steps + 1)

    return td3.Intrinsic(init, reward, update)


def disagreement(values: Array, hyper: Hyper) -> Array:
    """float[B], the reward from the values Q' [n, B] of a batch.

    Equation: zhang2024gfarfe [intrinsic reward, released].
    """
    return jnp.minimum(hyper.bonus * values.std(0, ddof=1), hyper.bonus_max)


def regression(values: Array, next_values: Array, hyper: Hyper) -> tuple[Array, Array]:
    """Targets y and weights, float[B] each, from Q' [n, B] of the batch and of its successors.

    Equation: zhang2024gfarfe [weighted regression, released].
    """
    y = jnp.clip(disagreement(values, hyper) + hyper.gamma * next_values.mean(0), 0, hyper.target_max)
    return y, jnp.clip(values.std(0, ddof=1), hyper.std_min, hyper.std_max) ** -2


def bounded_by_outputs(params: dict[str, dict[str, Array]]) -> dict[str, dict[str, Array]]:
    """Layers drawn on +-1 / sqrt(inputs), stretched to +-1 / sqrt(outputs); kernels are [inputs, outputs]."""

    def stretched(layer: dict[str, Array]) -> dict[str, Array]:
        if "kernel" not in layer:
            return layer
        inputs, outputs = layer["kernel"].shape
        return jax.tree.map(lambda x: x * (inputs / outputs) ** 0.5, layer)

    return {name: stretched(layer) for name, layer in params.items()}
