"""Rules for the slot "targets": LPG, its time-aware version TA-LPG, REINFORCE, and REINFORCE on a schedule.

LPG (oh2020lpg) reads a window backwards with a gated recurrent unit, whose memory is zero at the end of an
episode, and answers every step with a weight pihat of its log-probability and a target yhat of its
prediction:

    x_t     = [r_t, d_t, pi(a_t|s_t), e(y(s_t)), (1 - d_t) e(y(s_{t+1})), (gamma,) time inputs]
    h_t     = GRU(x_t, h_{t+1})
    pihat_t = w . relu(h_t) + b
    yhat_t  = softmax(W relu(h_t) + b)

The learner descends on mean(pihat log pi), so that -pihat is what multiplies the score in a policy gradient.
REINFORCE fills the same slot with a number or three, and needs no network: the bar that a learned rule has to
clear.

Legend: `T` steps, `W` workers, `m` entries of a prediction, `k` time inputs of the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Size, check_value
from jaxrl.core.spaces import Box, Space
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.meta.objective import TIME_INPUTS, Objective, Time, Window, time_inputs
from jaxrl.nets.net import Net, gru, mlp, scan_memory
from jaxrl.rollout.returns import monte_carlo

_STEP_FEATURES = ("r", "d", "pi", "e(y)", "e(y')")


class Networks(NamedTuple):
    """The parts of LPG, whose parameters are the entries "embed", "cell", "weight" and "target" of phi.

    embed: prediction [..., m] -> [..., 1]; cell: one step of the recurrence; weight, target: [..., H] ->
    [..., 1 or m].
    """

    embed: Net
    cell: Net
    weight: Net
    target: Net

    def init(self, key: Key) -> PyTree:
        """First parameters: kernels truncated normal, variance 1 / inputs; recurrent ones orthogonal; biases
        zero.
        """
        keys = jax.random.split(key, 4)
        return {name: net.init(k) for (name, net), k in zip(self._asdict().items(), keys, strict=True)}


def lpg(
    predictions: int = 8,
    *,
    inputs: tuple[str, ...] = (),
    embedding: int = 16,
    width: int = 256,
    bias: bool = True,
    gamma_input: bool = False,
    log_scale: float = 1.0,
    longest: float = 250.0,
) -> Objective:
    """LPG, or TA-LPG where the network has time inputs.

    predictions: entries m of a prediction. inputs: names of the time inputs that the network has, in the
    order of `TIME_INPUTS`; each is multiplied by its factor in `Time.mask`, so that one network with all of
    them is every row of an ablation. embedding, width: units of the embedding and of the recurrence. bias:
    whether embedding and heads have biases. gamma_input: whether the discount is read, as the paper has it
    and the released code has not.
    log_scale, longest: see `time_inputs`.

    With m = 8 and the other sizes as they are, LPG has 203,946 parameters; 768 more per further input.

    Raises `UsageError` for sizes below 1 and unknown inputs.

    Equation: oh2020lpg [LPG]
    """
    predictions = check_value("predictions", predictions, Size)
    embedding, width = check_value("embedding", embedding, Size), check_value("width", width, Size)
    live, scales = _live(inputs), _scales(log_scale, longest)
    features = (*_STEP_FEATURES, *(("gamma",) if gamma_input else ()), *inputs)
    name = "TA-LPG" if inputs else "LPG"
    nets = Networks(
        mlp((predictions, embedding, 1), "relu", bias=bias, initial="lecun"),
        gru(len(features), width),
        mlp((width, 1), bias=bias, initial="lecun"),
        mlp((width, predictions), bias=bias, initial="lecun"),
    )

    def apply(phi: PyTree, window: Window, time: Time) -> tuple[Array, Array]:
        if window.y.shape[-1] != predictions:
            raise UsageError(
                f"predictions: {name} reads {predictions} numbers, the learner predicts {window.y.shape[-1]};"
                " make both with the same count"
            )
        return _lpg_targets(nets, phi, window, reads(phi, window, time))

    def reads(phi: PyTree, window: Window, time: Time) -> Array:
        extra = time_inputs(time, *scales)[live]
        if gamma_input:
            extra = jnp.concatenate([jnp.asarray(window.gamma, extra.dtype)[None], extra])
        return _lpg_inputs(nets, phi, window, extra)

    return Objective(nets.init, apply, "targets", inputs, name=name, features=features, reads=reads)


def _lpg_inputs(nets: Networks, phi: PyTree, window: Window, extra: Array) -> Array:
    """X of LPG, float[T, W, F]; `extra` float[k] joins the inputs of every step."""
    shape = window.reward.shape
    embedded = nets.embed.apply(phi["embed"], window.y)
    following = (1 - window.done)[..., None] * nets.embed.apply(phi["embed"], window.y_next)
    steps = jnp.stack([window.reward, window.done, window.prob], axis=-1)
    constant = jnp.broadcast_to(extra, (*shape, extra.shape[0]))
    return jnp.concatenate([steps, embedded, following, constant], axis=-1)


def _lpg_targets(nets: Networks, phi: PyTree, window: Window, x: Array) -> tuple[Array, Array]:
    """`(pihat [T, W], yhat [T, W, m])` of LPG, whose network reads x, float[T, W, F]."""
    memory = jnp.zeros((x.shape[1], phi["cell"]["hn"]["bias"].shape[0]))
    backwards = scan_memory(nets.cell, phi["cell"], memory, x[::-1], window.cut[::-1])
    u = jax.nn.relu(backwards[::-1])
    return nets.weight.apply(phi["weight"], u)[..., 0], jax.nn.softmax(nets.target.apply(phi["target"], u))


def reinforce(
    *, inputs: tuple[str, ...] = (), log_scale: float = 1.0, longest: float = 250.0, start: float = 0.0
) -> Objective:
    """REINFORCE with a learned step: phi is float[1 + len(inputs)], one number, or three with the paper's
    inputs.

    pihat_t = -(G_t - b_t) eta, yhat_t = y_t: predictions stay. log eta = phi_0 + phi_1.. . inputs.
    inputs, log_scale, longest: as in `lpg`. start: the first phi_0, others being 0.

    Raises `UsageError` for unknown inputs.

    Equation: williams1992reinforce [REINFORCE with a batch baseline]
    """
    live, scales = _live(inputs), _scales(log_scale, longest)

    def init(key: Key) -> Array:
        return jnp.zeros(1 + len(inputs)).at[0].set(start)

    def apply(phi: Array, window: Window, time: Time) -> tuple[Array, Array]:
        log_step = phi[0] + jnp.dot(phi[1:], time_inputs(time, *scales)[live])
        return _reinforce_targets(window, jnp.exp(log_step)), window.y

    def reads(phi: Array, window: Window, time: Time) -> Array:
        extra = time_inputs(time, *scales)[live]
        return jnp.broadcast_to(extra, (*window.reward.shape, extra.shape[0]))

    name = "scheduled REINFORCE" if inputs else "REINFORCE"
    return Objective(init, apply, "targets", inputs, name=name, features=inputs, reads=reads)


def _reinforce_targets(window: Window, step: Array) -> Array:
    """pihat_t = -(G_t - b_t) eta, float[T, W]: G_t to the end of episode or window, b_t its mean over
    workers.

    step: eta, float[].
    """
    discount = jnp.broadcast_to(jnp.asarray(window.gamma, window.reward.dtype), window.reward.shape)
    returns, _ = monte_carlo(window.reward, discount, window.cut)
    return -(returns - returns.mean(1, keepdims=True)) * step


def reads(predictions: int) -> Space:
    """The space of what a rule reads of one step, of the progress n/N, and of the horizon N."""
    share, simplex = Box(0.0, 1.0, ()), Box(0.0, 1.0, (predictions,))
    return {
        "reward": Box(-np.inf, np.inf, ()),
        "done": share,
        "prob": share,
        "y": simplex,
        "y_next": simplex,
        "progress": share,
        "horizon": Box(1.0, 1e6, ()),
    }


def says(predictions: int) -> Space:
    """The space of what a rule answers a step with."""
    return {"weight": Box(-np.inf, np.inf, ()), "target": Box(0.0, 1.0, (predictions,))}


def answer(objective: Objective) -> Callable[[PyTree, PyTree, Array], PyTree]:
    """`(phi, obs, mask float[5]) -> {"weight": pihat, "target": yhat}` of a window of one step of one
    worker.

    For REINFORCE this weight is 0: its baseline is the mean over workers, which is the return of the one.
    """

    def of_step(phi: PyTree, obs: PyTree, mask: Array) -> PyTree:
        one = jax.tree.map(lambda x: x[None, None], obs)
        ends = one["done"] > 0
        window = Window(one["reward"], one["done"], ends, one["prob"], one["y"], one["y_next"], jnp.ones(()))
        time = Time(obs["progress"] * obs["horizon"], obs["horizon"], mask)
        pihat, yhat = objective.apply(phi, window, time)
        return {"weight": pihat[0, 0], "target": yhat[0, 0]}

    return of_step


def _live(inputs: tuple[str, ...]) -> np.ndarray:
    """Positions of the named time inputs; UsageError unless they stand in the order of TIME_INPUTS, each
    once.
    """
    unknown = [name for name in inputs if name not in TIME_INPUTS]
    if unknown:
        raise UsageError(f"inputs: {unknown[0]!r} is none of {', '.join(TIME_INPUTS)}")
    positions = [TIME_INPUTS.index(name) for name in inputs]
    if positions != sorted(set(positions)):
        raise UsageError(f"inputs: must be in the order {', '.join(TIME_INPUTS)}, each once, got {inputs}")
    return np.array(positions, int)


def _scales(log_scale: float, longest: float) -> tuple[float, float]:
    return check_value("log_scale", log_scale, Positive), check_value("longest", longest, Positive)
