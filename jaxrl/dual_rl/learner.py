"""Every method of the table with networks, on a dataset: one algorithm, and a method is a row.

    semi, V     minimise loss(Q'(s, a) - V(s));  Q_i(s, a) towards r + gamma V(s');  Q' <- Q' + tau (Q - Q')
                (f-DVL, XQL, EQL, SQL, IQL; ReCOIL as released: Q towards G on expert pairs, else by
                `recoil_target`, without rewards)
    full, V     minimise dual-V by the gradient through V(s) and V(s')            (OptiDICE, SMODICE)
    orthogonal  likewise without what of V(s') undoes V(s), start at data states   (ODICE)
    full, Q     minimise dual-Q, or the ReCOIL objective, over twin Q, with V(s) = E_pi[Q - entropy log pi]
                (AlgaeDICE, IQ-Learn, ReCOIL-Q)

The policy is cloned with weights from the residual, or where dual-Q is maximised over it, improves on Q. The
order is V, policy, Q, targets, on one batch.

Rows that differ in their maximiser alone are one program: `Config.methods` names them, and `Hyper.which`
chooses among them, so that a population spans divergences as well as numbers.

Legend: `n` rows of a batch, `k` observation features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.core.errors import UsageError, nearest
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Discrete, Space
from jaxrl.core.types import Algorithm, Array, Key, Policy, PyTree, struct
from jaxrl.dual_rl.batches import Data, Reader, check_shapes, ending, needed, spread
from jaxrl.dual_rl.dashboard import drift, review
from jaxrl.dual_rl.methods import Method, check_parameter, method
from jaxrl.dual_rl.networks import Networks, networks
from jaxrl.dual_rl.objectives import recoil_end
from jaxrl.dual_rl.updates import Batch, Core, Learner, form

TERMINALS = ("target", "masked", "absorbing")
"""What follows a termination in ReCOIL as released."""


@dataclass(frozen=True)
class Config:
    """Static choices.

    methods: rows of the table by name; several only if they differ in divergence and maximiser alone.
    batch_size: rows of each dataset per update, None for all of them (tables).
    squash: tanh-squashed normals, else normals with tanh means and one log deviation for all states.
    extraction: "awr" or "dual" instead of the row's; None leaves it.
    normalise_obs: standardise features by the reference data.
    layer_norm: in the hidden layers of V, never of Q.
    copies: of the rows in the batch of the value loss, with uniform actions; noisy: its recorded actions have
    noise of deviation `Hyper.noise`. Both for semi-gradient methods with continuous actions.
    terminals: what ReCOIL as released takes for V where an episode terminated. "target", -G, as released: as
    if g were lost for ever after; "masked", 0; "absorbing", a state in which the expert and the data stay,
    each as often as they end, see `recoil_end`.
    """

    methods: tuple[str, ...] = ("f-DVL chi2",)
    batch_size: int | None = 256
    widths: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    squash: bool = False
    extraction: str | None = None
    normalise_obs: bool = True
    layer_norm: bool = False
    copies: int = 0
    noisy: bool = False
    terminals: str = "target"

    def __post_init__(self) -> None:
        if not self.methods:
            raise UsageError("Config.methods: name at least one method")
        rows = [method(name) for name in self.methods]
        blank = [replace(r, name="", divergence=None, maximiser=None, parameter=0.0) for r in rows]
        if any(b != blank[0] for b in blank) or (len(rows) > 1 and rows[0].maximiser is None):
            raise UsageError(
                f"Config.methods: {', '.join(self.methods)} differ in more than their maximiser; make one"
                " Config for each"
            )
        if (rows[0].dual, rows[0].gradient, rows[0].reference) == ("V", "full", "mixture"):
            raise UsageError(
                f"Config.methods: {rows[0].name} is exact and constant off the expert; use ReCOIL released or"
                " ReCOIL-Q"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"Config.batch_size: must be >= 1, or None for all rows, got {self.batch_size}")
        if any(width < 1 for width in self.widths):
            raise UsageError(f"Config.widths: must all be >= 1, got {self.widths}")
        if self.extraction not in (None, "awr", "dual"):
            raise UsageError(f"Config.extraction: must be awr, dual or None, got {self.extraction!r}")
        if self.extraction is not None and rows[0].extraction == "max":
            raise UsageError(f"Config.extraction: {rows[0].name} maximises over its policy; leave it None")
        if self.extraction == "dual" and any(r.divergence is None for r in rows):
            raise UsageError("Config.extraction: dual weights need a divergence, IQL has none; use awr")
        self._check_options(rows[0])

    def _check_options(self, row: Method) -> None:
        if self.layer_norm and (row.dual == "Q" or not self.widths):
            what = f"{row.name} has no V" if row.dual == "Q" else "V has no hidden layer"
            raise UsageError(f"Config.layer_norm: {what}; leave it False")
        if self.copies < 0:
            raise UsageError(f"Config.copies: must be >= 0, got {self.copies}")
        for name in ("copies", "noisy"):
            if getattr(self, name) and row.maximiser is None:
                raise UsageError(f"Config.{name}: {row.name} has no value loss over actions; leave it out")
        if self.terminals not in TERMINALS:
            raise UsageError(
                f"Config.terminals: must be one of {', '.join(TERMINALS)}, got {self.terminals!r}"
            )
        if self.terminals != "target" and not row.released:
            raise UsageError(
                f"Config.terminals: {row.name} has no target G at terminations; only ReCOIL released has"
            )

    @property
    def rows(self) -> tuple[Method, ...]:
        """The rows, with `extraction` put in."""
        rows = (method(name) for name in self.methods)
        return tuple(replace(r, extraction=self.extraction or r.extraction) for r in rows)


@struct.dataclass
class Hyper:
    """Numbers; `hyper` makes one with the row's own parameter.

    parameter: of the method, see its row. which: index into `Config.methods`.
    tau: step of targets towards their networks; decay_updates: updates in which the actor's rate falls to 0
    along a cosine, 0 for never. awr: inverse temperature of the policy weights; cap: of the weights.
    clip: of z in exponential value losses. huber: where the Q loss becomes linear. reward_scale: factor of
    rewards. gap: g of ReCOIL as released. penalty: on the discriminator's gradient. entropy: temperature of
    the policy in dual-Q. eta: share of the projected gradient. noise: of actions in the value loss.
    """

    parameter: Any
    which: Any = 0
    gamma: Any = 0.99
    tau: Any = 0.005
    lr_value: Any = 3e-4
    lr_actor: Any = 3e-4
    decay_updates: Any = 0.0
    awr: Any = 3.0
    cap: Any = 100.0
    clip: Any = 7.0
    huber: Any = 20.0
    reward_scale: Any = 1.0
    gap: Any = 2.0
    penalty: Any = 1.0
    entropy: Any = 0.01
    eta: Any = 1.0
    noise: Any = 0.1


def hyper(config: Config, name: str | None = None, **numbers: Any) -> Hyper:
    """Numbers for the method called `name` (default: the first of `config`), with its own parameter.

    Raises `UsageError` for a method that `config` does not hold, a parameter at which its loss is degenerate,
    an unknown number, and one outside its range. A host check of single numbers; a grid sets fields itself.
    """
    name = config.methods[0] if name is None else name
    if name not in config.methods:
        raise UsageError(f"hyper: {name!r} is none of Config.methods {config.methods}")
    row = method(name)
    for field in numbers:
        if field not in Hyper.__dataclass_fields__:
            raise UsageError(f"Hyper.{field}: no such number; {nearest(field, Hyper.__dataclass_fields__)}")
        _check_number(field, numbers[field])
    made = Hyper(
        **{"parameter": row.parameter, "which": config.methods.index(name), "huber": _HUBER[row.reward]}
        | numbers
    )
    check_parameter(row, made.parameter)
    return made


_POSITIVE = ("reward_scale", "gap")


def _check_number(name: str, value: Any) -> None:
    if np.ndim(value):
        raise UsageError(f"Hyper.{name}: must be one number, got shape {np.shape(value)}")
    if name == "gamma":
        fine, wanted = 0 <= value < 1, "must lie in [0, 1)"
    elif name == "tau":
        fine, wanted = 0 < value <= 1, "must lie in (0, 1]"
    elif name in ("cap", "clip", "huber"):
        fine, wanted = value > 0, "must be > 0"
    elif name in _POSITIVE:
        fine, wanted = 0 < value < np.inf, "must be positive and finite"
    else:  # the parameter has a check of its own
        fine, wanted = name == "parameter" or 0 <= value < np.inf, "must be >= 0 and finite"
    if not fine:
        raise UsageError(f"Hyper.{name}: {wanted}, got {value}")


# ReCOIL's squares have no end, but infinity has no place in a checkpoint's JSON
_HUBER = {"task": 20.0, "zero": 1e6, "log_ratio": 20.0}


@struct.dataclass
class State:
    """Everything that an update changes, and `key`, `scale` and `end`, which it does not.

    past: the value network, up to a window ago; scale: mean and deviation of the features; end: float32[], V
    after a termination, see `Config.terminals`.
    """

    learner: Learner
    past: PyTree
    scale: tuple[Array, Array]
    end: Array
    key: Key
    updates: Array


def make(config: Config, observation_space: Space, action_space: Space) -> Algorithm:
    """The method of `config`; `data` of the algorithm is a `Data`.

    Raises:
        UsageError: actions that are neither `Discrete` nor a bounded `Box`, or `Discrete` with `copies` or
            `noisy`; an unknown activation; from `init`, datasets that the method lacks.
    """
    if (config.copies or config.noisy) and isinstance(action_space, Discrete):
        raise UsageError("Config.copies, Config.noisy: need actions of a Box; leave them out for Discrete")
    nets = _networks(config, observation_space, action_space)
    core = Core(config.rows, nets, optax.scale_by_adam(), config.copies, config.noisy)
    row, update = core.row, form(core.row)
    value = "v" if row.dual == "V" else "q"

    def init(key: Key, hyper: Hyper, data: Data) -> State:
        k_init, k_run = jax.random.split(key)
        k_v, k_q, k_actor, k_ratio = jax.random.split(k_init, 4)
        makers: dict[str, tuple[Callable[[Key], PyTree], Key]] = {"actor": (nets.actor.init, k_actor)}
        if row.dual == "V":
            makers["v"] = (nets.v.init, k_v)
        if row.dual == "Q" or row.gradient == "semi":
            makers["q"] = (nets.init_q, k_q)
        if row.reward == "log_ratio":
            makers["ratio"] = (nets.ratio.init, k_ratio)
        params = {name: build(k) for name, (build, k) in makers.items()}
        target = {name: params[name] for name in core.slow}
        opt_states = {name: core.optimiser.init(p) for name, p in params.items()}
        reference = _reference(row, data)
        check_shapes(data, observation_space, action_space)
        features = nets.encode(jax.tree.map(lambda x: x[0], reference.obs)).shape
        scale = (
            spread(nets.encode, reference)
            if config.normalise_obs
            else (jnp.zeros(features), jnp.ones(features))
        )
        learner, end = Learner(params, target, opt_states), _end(config, hyper, data)
        return State(learner, params[value], scale, end, k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: Data) -> tuple[State, dict[str, Any]]:
        k_batch, k_policy = jax.random.split(stream(state.key, state.updates))
        reader = Reader(nets.encode, nets.unit, *state.scale)
        batch = _draw(row, reader, config.batch_size, data, state.end, k_batch)
        fraction = state.updates / jnp.where(hyper.decay_updates > 0, hyper.decay_updates, jnp.inf)
        lr_actor = hyper.lr_actor * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(fraction, 1.0)))
        learner, metrics = update(core, state.learner, batch, hyper, lr_actor, k_policy)
        past, moved = drift(
            lambda params: core.value(params, batch.reference),
            batch.reference.mass,
            learner.params[value],
            state.past,
            state.updates,
            hyper.tau * (1 - hyper.gamma) if core.slow else jnp.inf,
        )
        state = state.replace(learner=learner, past=past, updates=state.updates + 1)
        return state, metrics | moved

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        def choose(key: Key, obs: PyTree, memory: PyTree) -> tuple[PyTree, PyTree, PyTree]:
            x = Reader(nets.encode, nets.unit, *state.scale).features(obs)
            dist = nets.actor.apply(state.learner.params["actor"], x)
            raw = nets.head.mode(dist) if greedy else nets.head.sample(key, dist)
            return nets.action(nets.head.to_action(raw)), (), memory

        return Policy(choose)

    return Algorithm(init, step, act, review)


def value(config: Config, observation_space: Space, action_space: Space, state: State, obs: PyTree) -> Array:
    """float32`[n]`, V of observations `[n, ...]`, for methods that have a V.

    Raises:
        UsageError: a dual-Q, whose V depends on the policy.
    """
    if config.rows[0].dual == "Q":
        raise UsageError(f"value: {config.methods[0]} has no V; look at its Q")
    nets = _networks(config, observation_space, action_space)
    x = jax.vmap(Reader(nets.encode, nets.unit, *state.scale).features)(obs)
    return nets.v.apply(state.learner.params["v"], x)


def _networks(config: Config, observation_space: Space, action_space: Space) -> Networks:
    return networks(
        observation_space,
        action_space,
        widths=config.widths,
        activation=config.activation,
        squash=config.squash,
        layer_norm=config.layer_norm,
    )


def _end(config: Config, hyper: Hyper, data: Data) -> Array:
    """float32[], V after a termination; not used by other methods than ReCOIL as released."""
    row = config.rows[0]
    if not row.released or config.terminals == "masked":
        return jnp.zeros(())
    released = jnp.asarray(-hyper.gap / (1 - hyper.gamma), jnp.float32)
    if config.terminals == "target":
        return released
    d_e, d_mix = ending(needed(data.expert, "expert", row.name)), ending(data.reference)
    # where nobody ends it is never looked at, but has to be finite
    return jnp.where(d_e + d_mix > 0, recoil_end(d_e, d_mix, hyper.gap, hyper.gamma), released)


def _reference(row: Method, data: Data) -> Any:
    return needed(data.expert, "expert", row.name) if row.reference == "expert" else data.reference


def _draw(row: Method, reader: Reader, size: int | None, data: Data, end: Array, key: Key) -> Batch:
    k_reference, k_expert, k_start = jax.random.split(key, 3)
    expert = start = None
    if row.reference == "mixture" or row.reward == "log_ratio":
        expert = reader.read(k_expert, needed(data.expert, "expert", row.name), size, rewards=False)
    if row.gradient == "full":
        start = reader.read(k_start, needed(data.start, "start", row.name), size, rewards=False)
    reference = reader.read(k_reference, _reference(row, data), size, rewards=row.reward == "task")
    return Batch(reference, expert, start, end)
