"""A learner whose update is told by a rule for targets: LPG and whatever stands in its place (oh2020lpg).

    theta, psi <- one step down   mean[ pihat log(pi_theta(a|s) + c) ] + alpha_y mean[ KL(y_psi(s) || yhat) ]

with c = 1e-8, where the rule computes pihat and yhat from the window that the policy has just collected. They
are constants of this gradient. Policy and predictions have a norm of their own to which their gradient is
shrunk.

Differences from the released code:
1. A linear learner looks up the row of an observation that is an index, in place of a product with a one-hot
   vector.
2. The value of a successor is read at the true successor and not at the observation after a reset. Where an
   episode ends, both are multiplied by zero, so that the numbers are the same with
   `bootstrap_truncated=False`.
3. Adam's root has 1e-12 under it, which moves an update by 1e-7 and lets one differentiate through it.

Legend: `T` steps, `W` workers, `m` entries of a prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial

from jaxrl.core.descent import clip_norm, descend
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Bound, NonNegative, Positive, Share, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Space
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, Transition, struct
from jaxrl.envs.base import Env
from jaxrl.meta import lifetimes, targets
from jaxrl.meta.evolution import Problem, Settings
from jaxrl.meta.objective import MASKS, Objective, Time, Window, check_mask
from jaxrl.nets import heads
from jaxrl.nets.net import Net, features, linear, mlp
from jaxrl.rollout.returns import discount_and_cut
from jaxrl.rollout.unroll import VecState, start, unroll

_OFFSET = 1e-8  # under logarithms of probabilities, as released


@dataclass(frozen=True)
class Config:
    """Static choices of the learner."""

    n_envs: Size = 64
    """Workers, each an environment of its own. Paper: 64."""
    length: Size = 20
    """Steps of each worker per update. Paper: 20."""
    predictions: Size = 8
    """Entries m of a prediction, a distribution that the rule gives its meaning. Paper: 30; released code:
    8."""
    widths: tuple[Size, ...] = ()
    """Hidden units per layer, of the policy and of the predictions each; () for linear maps without biases,
    which look indices up."""
    optimiser: Literal["sgd", "adam"] = "sgd"
    """How a gradient becomes a direction. Released code: sgd where maps are linear, adam elsewhere."""
    bootstrap_truncated: bool = False
    """Whether a rule sees the prediction at the successor where a time limit ends an episode. The released
    code counts such an end as one of the task."""

    def __post_init__(self) -> None:
        check_fields(self)


@struct.dataclass
class Hyper:
    """Hyper-parameters, each a leaf that can be swept or differentiated."""

    lr: NonNegative = 40.0
    """Learning rate of the policy, >= 0. Released code: 40 with sgd, 1e-3 or 5e-4 with adam."""
    prediction_lr: NonNegative = 4.0
    """Learning rate of the predictions, >= 0. Released code: 4 with sgd."""
    gamma: Share = 0.99
    """Discount per step, in [0, 1], which only some rules read. Released code: 0.99."""
    alpha_y: NonNegative = 0.5
    """Weight of the divergence between predictions and their targets, >= 0. Released code: 0.5."""
    max_grad_norm: Bound | None = 0.5
    """Euclidean norm to which a larger gradient of the policy is shrunk, and one of the predictions by
    itself, >= 0; None or infinity for no clipping. Released code: 0.5 with sgd, none with adam."""
    updates_total: Positive = 250.0
    """Horizon N that the rule is told, in updates, >= 1; the lifetime may have another one."""
    mask: tuple[float, ...] = MASKS["paper"]
    """Factors of the five time inputs, float[5], see `objective.MASKS`."""
    phi: tuple[float, ...] = ()
    """Parameters of the rule: the pytree that `Objective.init` gives."""


@struct.dataclass
class State:
    """What an update changes, and `key`, which it does not. `params` has the entries "policy" and
    "prediction".
    """

    params: PyTree
    opt_state: PyTree
    vec: VecState
    key: Key
    updates: Array


class Outputs(NamedTuple):
    """What the two networks say: logits float[T, W, actions] of the policy, and float[T, W, m] of the
    predictions.
    """

    policy: Array
    prediction: Array


class Learner(NamedTuple):
    """The networks of a learner, its optimiser and its rule: all that an update needs beside numbers."""

    config: Config
    objective: Objective
    head: heads.Head
    nets: dict[str, Net]
    optimiser: optax.GradientTransformation

    def init(self, key: Key) -> tuple[PyTree, PyTree]:
        """`(params, opt_state)` of a new learner."""
        k_policy, k_prediction = jax.random.split(key)
        params = {
            "policy": self.nets["policy"].init(k_policy),
            "prediction": self.nets["prediction"].init(k_prediction),
        }
        return params, {name: self.optimiser.init(p) for name, p in params.items()}

    def policy(self, params: PyTree, greedy: bool) -> Policy:
        """Policy of the parameters; its `aux` is the raw action."""
        return Policy(Partial(self._best if greedy else self._drawn, params["policy"]))

    def _best(self, params: PyTree, key: Key, obs: PyTree, memory: PyTree) -> tuple[PyTree, PyTree, PyTree]:
        raw = self.head.mode(self.nets["policy"].apply(params, obs))
        return self.head.to_action(raw), {"raw": raw}, memory

    def _drawn(self, params: PyTree, key: Key, obs: PyTree, memory: PyTree) -> tuple[PyTree, PyTree, PyTree]:
        raw = self.head.sample(key, self.nets["policy"].apply(params, obs))
        return self.head.to_action(raw), {"raw": raw}, memory

    def outputs(self, params: PyTree, obs: PyTree) -> Outputs:
        """Both networks on observations, leaves `[T, W, ...]`."""
        return Outputs(self._apply("policy", params, obs), self._apply("prediction", params, obs))

    def _apply(self, name: str, params: PyTree, obs: PyTree) -> Array:
        return jax.vmap(jax.vmap(partial(self.nets[name].apply, params[name])))(obs)

    def window(self, params: PyTree, outputs: Outputs, batch: Transition, gamma: Any) -> Window:
        """What the rule reads of a batch, leaves `[T, W, ...]`, collected and judged by `params`."""
        discount, cut = discount_and_cut(batch, 1.0, self.config.bootstrap_truncated)
        return Window(
            reward=batch.reward,
            done=1 - discount,
            cut=cut,
            prob=jnp.exp(self.head.log_prob(outputs.policy, batch.aux["raw"])),
            y=jax.nn.softmax(outputs.prediction),
            y_next=jax.nn.softmax(self._apply("prediction", params, batch.next_obs)),
            gamma=jnp.asarray(gamma, batch.reward.dtype),
        )

    def update(
        self,
        params: PyTree,
        opt_state: PyTree,
        batch: Transition,
        hyper: Hyper,
        n: Array,
        through_inputs: bool,
    ) -> tuple[PyTree, PyTree, dict[str, Array]]:
        """`(params, opt_state, metrics)` after one step on a batch, leaves `[T, W, ...]`, as update `n` [].

        through_inputs: whether a derivative of the result sees that what the rule reads depends on `params`;
        the released code stops it there, so that its meta-gradients are not those of the meta-loss. Values
        are equal.
        """
        outputs, backwards = jax.vjp(lambda p: self.outputs(p, batch.obs), params)
        window = self.window(params, outputs, batch, hyper.gamma)
        if through_inputs is not True:
            window = jax.tree.map(lambda x: jnp.where(through_inputs, x, jax.lax.stop_gradient(x)), window)
        pihat, yhat = self.objective.apply(hyper.phi, window, Time(n, hyper.updates_total, hyper.mask))
        raw = batch.aux["raw"]
        slope, kl = jax.grad(self._loss, has_aux=True)(outputs, pihat, yhat, raw, hyper.alpha_y)
        (grads,) = backwards(slope)
        metrics = {
            "kl": kl,
            "weight_square": jnp.square(pihat).mean(),
            "target_square": jnp.square(yhat).sum(-1).mean(),
            "entropy": self.head.entropy(outputs.policy).mean(),
            "prediction_entropy": entropy(window.y).mean(),
        }
        new_params, new_state = {}, {}
        for name, lr in (("policy", hyper.lr), ("prediction", hyper.prediction_lr)):
            clipped, norm = clip_norm(grads[name], hyper.max_grad_norm)
            stepped = descend(self.optimiser, clipped, opt_state[name], params[name], lr)
            new_params[name], new_state[name] = stepped
            metrics[f"{name}_grad_norm"] = norm
        return new_params, new_state, metrics

    def _loss(
        self, outputs: Outputs, pihat: Array, yhat: Array, raw: Array, alpha_y: Any
    ) -> tuple[Array, Array]:
        prob = jnp.exp(self.head.log_prob(outputs.policy, raw))
        kl = prediction_kl(jax.nn.softmax(outputs.prediction), yhat).mean()
        return weighted_log_prob(pihat, prob).mean() + alpha_y * kl, kl


def weighted_log_prob(pihat: Array, prob: Array) -> Array:
    """Pihat log(pi + 1e-8), of which the learner descends on the mean; every argument `[T, W]`.

    Equation: oh2020lpg [policy update]
    """
    return pihat * jnp.log(prob + _OFFSET)


def prediction_kl(y: Array, yhat: Array) -> Array:
    """KL(y || yhat) with 1e-8 under both logarithms, float[T, W]; arguments `[T, W, m]` in the simplex.

    Equation: oh2020lpg [prediction update]
    """
    return (y * (jnp.log(y + _OFFSET) - jnp.log(yhat + _OFFSET))).sum(-1)


def entropy(y: Array) -> Array:
    """Entropy in nats, float[...], of distributions `y` [..., m]."""
    return -(y * jnp.log(y + _OFFSET)).sum(-1)


def learner(config: Config, env: Env, objective: Objective) -> Learner:
    """The parts of a learner on `env`.

    Raises `UsageError` for vector rewards, continuous actions, a rule of another slot, and one whose network
    reads predictions of another length.
    """
    if env.reward_dim is not None:
        raise UsageError(
            f"{env.name}: has {env.reward_dim} rewards; scalarise it, a rule for targets reads one"
        )
    if objective.slot != "targets":
        raise UsageError(
            f'objective: {objective.name} stands in the slot "{objective.slot}"; give one of "targets"'
        )
    try:
        head = heads.policy_head(env.action_space)
    except ValueError as error:
        raise UsageError(f"{env.name}: {error}") from error
    if head.gaussian:
        raise UsageError(f"{env.name}: has continuous actions; discretise them, targets weigh probabilities")
    nets = {
        "policy": network(env.observation_space, head.size, config.widths),
        "prediction": network(env.observation_space, config.predictions, config.widths),
    }
    optimiser = optax.scale_by_adam(eps_root=1e-12) if config.optimiser == "adam" else optax.identity()
    _check_predictions(config, objective)
    return Learner(config, objective, head, nets, optimiser)


def make(config: Config, env: Env, objective: Objective | None = None) -> Algorithm:
    """The learner on `env`; `data` of the algorithm is the environment's parameters.

    objective: a rule of the slot "targets", whose parameters are `Hyper.phi`; None: LPG of the released
    sizes.

    Raises `UsageError` as `learner` does.
    """
    parts = learner(config, env, targets.lpg(config.predictions) if objective is None else objective)

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        k_params, k_start, k_run = jax.random.split(key, 3)
        params, opt_state = parts.init(k_params)
        vec = start(env, parts.policy(params, greedy=False), k_start, data, config.n_envs)
        return State(params, opt_state, vec, k_run, jnp.zeros((), jnp.int32))

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        vec, batch, stats = unroll(
            env,
            parts.policy(state.params, greedy=False),
            state.vec,
            stream(state.key, state.updates),
            data,
            length=config.length,
            gamma=hyper.gamma,
        )
        params, opt_state, metrics = parts.update(
            state.params, state.opt_state, batch, hyper, state.updates, through_inputs=True
        )
        return State(params, opt_state, vec, state.key, state.updates + 1), metrics | stats.metrics()

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        return parts.policy(state.params, greedy)

    def check_hyper(hyper: Hyper, data: PyTree) -> None:
        check_mask(hyper.mask, False, "Hyper.mask")
        if np.any(np.asarray(hyper.updates_total) < 1):
            raise UsageError(
                f"Hyper.updates_total: a lifetime has at least 1 update, got {np.min(hyper.updates_total):g};"
                " tell the rule a horizon >= 1"
            )
        _check_phi(parts.objective, hyper.phi)

    origin = Origin(__name__, config, env.observation_space, env.action_space, env)
    return Algorithm(init, step, act, origin=origin, check_hyper=check_hyper)


def search(
    config: Config,
    env: Env,
    objective: Objective,
    hyper: Hyper,
    horizons: tuple[int, int],
    *,
    episodes: int,
    fitness: lifetimes.Fitness = "final",
    aware: bool = False,
) -> Problem:
    """What evolution needs to look for the parameters of a rule over lifetimes of this learner.

    horizons: the shortest and the longest lifetime, in updates. episodes, fitness: as in
    `lifetimes.lifetime`. `hyper` is that of every lifetime, but for the rule's parameters, the mask and the
    horizon, which is told. aware: whether a mask without a live time input is refused.

    Raises `UsageError` as `make`, `lifetimes.lifetime` and `lifetimes.check_horizons` do.
    """
    algorithm = make(config, env, objective)
    run = lifetimes.lifetime(algorithm, env, episodes=episodes, fitness=fitness)

    answer_masked = targets.answer(objective)

    def of(phi: PyTree, task: lifetimes.Task, settings: Settings, data: PyTree) -> Array:
        return run(told(hyper, phi, task.horizon, settings.mask), task.level, task.horizon, task.key)

    def answer(phi: PyTree, obs: PyTree, settings: Settings) -> PyTree:
        return answer_masked(phi, obs, settings.mask)

    return Problem(
        start=objective.init,
        tasks=lifetimes.draw_tasks(env, *horizons),
        fitness=of,
        answer=answer,
        observation_space=targets.reads(config.predictions),
        action_space=targets.says(config.predictions),
        aware=aware,
    )


def told(hyper: Hyper, phi: PyTree, horizon: Array, mask: Array) -> Hyper:
    """Hyper-parameters with a rule's parameters, the horizon [] that it is told, and its mask float[5]."""
    return hyper.replace(phi=phi, updates_total=jnp.asarray(horizon, jnp.float32), mask=mask)


def network(space: Space, size: int, widths: tuple[int, ...]) -> Net:
    """Map of one observation to float[size]: a bias-free linear one without `widths`, else a network of
    them.
    """
    if not widths:
        return linear(space, size)
    k, encode = features(space)
    net = mlp((k, *widths, size), "relu", initial="lecun")
    return Net(net.init, lambda params, obs: net.apply(params, encode(obs)))


def _check_predictions(config: Config, objective: Objective) -> None:
    """Shows the rule one row, so that it refuses predictions of a length that it does not read."""
    one, vector = jnp.zeros((1, 1)), jnp.full((1, 1, config.predictions), 1.0 / config.predictions)
    window = Window(one, one, one > 0, one, vector, vector, jnp.zeros(()))

    def ask(key: Key) -> tuple[Array, Array]:
        return objective.apply(objective.init(key), window, Time(jnp.zeros(()), jnp.ones(())))

    jax.eval_shape(ask, jax.random.key(0))


def _check_phi(objective: Objective, phi: PyTree) -> None:
    """Raises UsageError unless `phi` has the structure and the shapes of what `init` gives."""

    def shapes(tree: PyTree) -> PyTree:
        return jax.tree.map(jnp.shape, tree)

    wanted = jax.eval_shape(objective.init, jax.random.key(0))
    if jax.tree.structure(phi) != jax.tree.structure(wanted) or shapes(phi) != shapes(wanted):
        raise UsageError(
            f"Hyper.phi: is not what `init` of {objective.name} gives; take its structure and shapes"
        )
