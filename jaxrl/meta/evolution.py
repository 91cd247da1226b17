"""Evolution strategies on the fitness of lifetimes: one generation is one update of the driver.

    g = 1 / (2 B sigma) sum_i w_i eps_i,   w_i = F(phi + sigma eps_i) - F(phi - sigma eps_i),   F shaped

with shaped fitness F, followed by Adam, upwards. Both members of a pair share their task, start and random
numbers, all of which come with the task. Arms that are members of one sweep with the same seed share them,
too, and are therefore paired.

A lifetime whose fitness is NaN loses its pair to a number; two NaN, or a tie, say nothing about the pair. A
generation in which no pair says anything is counted, leaves the gradient at zero and is named by `review`.

The best mean is chosen on tasks of its own, the same every time, which training never sees; its fitness there
is biased upwards by the choice, so that a rule is to be reported on fresh tasks.

Legend: `B` pairs, `D` parameters, `S` tasks of the choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Discount, NonNegative, Positive, Size, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.spaces import Space
from jaxrl.core.spmd import gather, share
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Algorithm, Array, Key, Mean, Policy, PyTree, struct
from jaxrl.meta import lifetimes
from jaxrl.meta.objective import MASKS, check_mask

Shaping = Literal["pairwise", "centred", "z-score", "difference"]
"""How fitness becomes the weight of a pair."""
SELECTION = 0  # entry of the key's stream that the choice has; generation g has entry g + 1


class Settings(NamedTuple):
    """What differs between arms and is not evolved.

    mask: float[5], factors of the time inputs; fixed: what else the rule reads, as the problem defines it.
    """

    mask: Array
    fixed: PyTree


class Problem(NamedTuple):
    """What evolution optimises: pure functions, the same for every member.

    start: `(key) -> phi`, a pytree of floats. tasks: `(key, n) -> task`, leaves `[n, ...]`, in the order of
    their cost, so that lanes stop early; a task holds every random number of its lifetime. fitness: `(phi,
    task, settings, data) -> float[]`, to be maximised, NaN for a lifetime that broke. answer: `(phi, obs,
    settings) -> output`, the rule as a policy, from what it reads to what it says. aware: whether the rule
    is called time-aware.
    """

    start: Callable[[Key], PyTree]
    tasks: Callable[[Key, int], PyTree]
    fitness: Callable[[PyTree, PyTree, Settings, PyTree], Array]
    answer: Callable[[PyTree, PyTree, Settings], PyTree]
    observation_space: Space
    action_space: Space
    aware: bool = False


@dataclass(frozen=True)
class Config:
    """Static choices of evolution."""

    pairs: Size = 16
    """Number B of antithetic pairs per generation, with one task each. Paper: 512."""
    lane: Count = 0
    """Pairs that run together, a divisor of `pairs`; 0 for all. Narrow lanes stop early."""
    shaping: Shaping = "pairwise"
    """Weight of a pair: the sign of the difference, or the difference of centred ranks, of z-scores, or of
    fitness itself divided by the root mean square of all differences. Paper: "pairwise"."""
    start: Literal["rule", "zero"] = "rule"
    """Where the mean starts: as the rule says, or with every parameter zero. Paper: "zero" for LPG."""
    selection: Count = 16
    """Tasks on which the best mean is chosen, the same each time; 0 takes the last mean without a choice."""
    select_every: Size = 5
    """Generations between two choices."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.lane and self.pairs % self.lane:
            raise UsageError(
                f"Config.pairs: {self.pairs} pairs cannot run {self.lane} together; "
                "take a multiple of Config.lane"
            )


@struct.dataclass
class Hyper:
    """Hyper-parameters of evolution."""

    lr: Positive = 0.03
    """Learning rate of the first generation, > 0. Paper: 0.01 for TA-LPG."""
    lr_decay: Positive = 0.985
    """Factor of the learning rate per generation, > 0. Paper: 0.999."""
    lr_limit: NonNegative = 0.0
    """Smallest learning rate, >= 0. Paper: 1e-5."""
    sigma: Positive = 0.1
    """Standard deviation of the perturbations in the first generation, > 0. Paper: 0.1."""
    sigma_decay: Positive = 1.0
    """Factor of that standard deviation per generation, > 0. Paper: 1."""
    sigma_limit: NonNegative = 0.0
    """Smallest standard deviation, >= 0."""
    beta1: Discount = 0.9
    """Decay of Adam's mean of gradients, in [0, 1). Paper: 0.99."""
    beta2: Discount = 0.999
    """Decay of Adam's mean of squared gradients, in [0, 1). Paper: 0.999."""
    mask: tuple[float, ...] = field(default=MASKS["none"])
    """Factors of the time inputs n/N, ln N, N - n, n, N, as in `objective.MASKS`. Paper: 1, 1, 0, 0, 0."""
    fixed: tuple[float, ...] = ()
    """What the rule reads besides and evolution leaves alone: a pytree of numbers, defined by the problem."""


@struct.dataclass
class State:
    """What a generation changes, and `key`, which it does not.

    params: the mean phi. best_params, best_fitness float[], best_generation int32[]: the chosen mean, its
    fitness on the tasks of the choice, and the generations it took; before the first choice the last mean,
    and -inf.
    """

    params: PyTree
    opt_state: PyTree
    best_params: PyTree
    best_fitness: Array
    best_generation: Array
    key: Key
    updates: Array


def make(config: Config, problem: Problem, axis: str | None = None) -> Algorithm:
    """Evolution of the parameters of a rule; `data` is what `problem.fitness` reads besides.

    axis: mesh axis whose devices take the lanes of a generation in turn (`train(..., work=...)`). Each draws
    all of the noise from the key, only fitness is gathered, and the bits do not depend on their number.

    Policies answer what the rule reads with what it says: by the mean, greedy ones by the chosen mean.

    A step raises `UsageError` where the number of lanes is no multiple of the number of devices on `axis`.
    """
    parts = Parts(config, problem, axis)

    def init(key: Key, hyper: Hyper, data: PyTree) -> State:
        k_start, k_run = jax.random.split(key)
        params = problem.start(k_start)
        if config.start == "zero":
            params = jax.tree.map(jnp.zeros_like, params)
        return State(
            params=params,
            opt_state=_adam(hyper).init(params),
            best_params=params,
            best_fitness=jnp.full((), -jnp.inf, jnp.float32),
            best_generation=jnp.zeros((), jnp.int32),
            key=k_run,
            updates=jnp.zeros((), jnp.int32),
        )

    def step(state: State, hyper: Hyper, data: PyTree) -> tuple[State, dict[str, Any]]:
        settings = _settings(hyper)
        after, metrics = _generation(parts, state, hyper, settings, data)
        if not config.selection:
            return after.replace(best_params=after.params, best_generation=after.updates), metrics
        after, found = _selection(parts, after, settings, data)
        return after, metrics | {"selection_fitness": found}

    def answer(params: PyTree, own: Settings, key: Key, obs: PyTree, memory: PyTree) -> tuple[Any, ...]:
        return problem.answer(params, obs, own), (), memory

    def act(state: State, hyper: Hyper, greedy: bool) -> Policy:
        params = state.best_params if greedy else state.params
        return Policy(Partial(answer, params, _settings(hyper)))

    def check_hyper(hyper: Hyper, data: PyTree) -> None:
        check_mask(hyper.mask, problem.aware, "Hyper.mask")

    return Algorithm(init, step, act, review=review, check_hyper=check_hyper)


class Parts(NamedTuple):
    """What `make` was given, for the functions of one generation."""

    config: Config
    problem: Problem
    axis: str | None

    @property
    def lane(self) -> int:
        """Pairs that run together."""
        return self.config.lane or self.config.pairs


def _generation(
    parts: Parts, state: State, hyper: Hyper, settings: Settings, data: PyTree
) -> tuple[State, dict[str, Any]]:
    """Lifetimes of all pairs and a step of Adam along the estimate; what was measured."""
    config, problem = parts.config, parts.problem
    k_noise, k_tasks = jax.random.split(stream(state.key, state.updates + 1))
    sigma = decayed(hyper.sigma, hyper.sigma_decay, hyper.sigma_limit, state.updates)
    lr = decayed(hyper.lr, hyper.lr_decay, hyper.lr_limit, state.updates)
    mean, unravel = ravel_pytree(state.params)
    noise = perturbations(k_noise, config.pairs, mean.size)

    def pair(one: tuple[Array, PyTree]) -> Array:
        eps, task = one
        both = mean[None] + sigma * jnp.stack([eps, -eps])
        return jax.vmap(lambda phi: problem.fitness(unravel(phi), task, settings, data))(both)

    tasks = problem.tasks(k_tasks, config.pairs)
    fitness = _in_lanes(pair, (noise, tasks), config.pairs, parts.lane, parts.axis)
    weights = shaped(fitness, config.shaping)
    gradient = unravel(weights @ noise / (2 * config.pairs * sigma))
    ascent, opt_state = _adam(hyper).update(gradient, state.opt_state)
    params = optax.apply_updates(state.params, jax.tree.map(lambda d: lr * d, ascent))
    after = state.replace(params=params, opt_state=opt_state, updates=state.updates + 1)
    return after, _measured(fitness, weights, state.updates) | {
        "gradient_norm": optax.tree.norm(gradient),
        "params_norm": optax.tree.norm(params),
        "sigma": sigma,
        "lr": lr,
    }


def _selection(parts: Parts, after: State, settings: Settings, data: PyTree) -> tuple[State, Mean]:
    """The best mean so far, where a choice is due, and the fitness of this one on the tasks of the choice."""
    config, problem = parts.config, parts.problem
    tasks = problem.tasks(stream(after.key, SELECTION), config.selection)
    unchosen = jnp.isneginf(after.best_fitness)
    after = after.replace(
        best_params=tree_where(unchosen, after.params, after.best_params),
        best_generation=jnp.where(unchosen, after.updates, after.best_generation),
    )

    def choose(after: State) -> tuple[State, Mean]:
        width = math.gcd(2 * parts.lane, config.selection)

        def lifetime(task: PyTree) -> Array:
            return problem.fitness(after.params, task, settings, data)

        found = _in_lanes(lifetime, tasks, config.selection, width, None).mean()
        better = found > after.best_fitness  # False for NaN
        chosen = after.replace(
            best_params=tree_where(better, after.params, after.best_params),
            best_fitness=jnp.where(better, found, after.best_fitness),
            best_generation=jnp.where(better, after.updates, after.best_generation),
        )
        known = jnp.isfinite(found)
        return chosen, Mean(jnp.where(known, found, 0.0), known.astype(jnp.float32))

    due = after.updates % config.select_every == 0
    nothing = Mean(jnp.zeros(()), jnp.zeros(()))
    return jax.lax.cond(due, choose, lambda after: (after, nothing), after)


def decayed(first: Array | float, decay: Array | float, limit: Array | float, generation: Array) -> Array:
    """float[], first * decay^generation, at least `limit`."""
    return jnp.maximum(jnp.asarray(first, jnp.float32) * jnp.power(decay, generation), limit)


def perturbations(key: Key, pairs: int, size: int) -> Array:
    """float[B, D], standard normal; row i depends on the key and on i alone."""
    return jax.vmap(lambda k: jax.random.normal(k, (size,)))(streams(key, pairs))


def shaped(fitness: Array, shaping: Shaping) -> Array:
    """float[B], weights of the perturbations, from fitness float[B, 2] of both signs, which may be NaN.

    Ties and pairs of two NaN weigh 0; a NaN loses to a number. For z-scores and differences it counts as the
    smallest number of the generation less a standard deviation (or 1 where that is zero).
    Equation: jackson2024temporal (12)
    """
    known = jnp.isfinite(fitness)
    both = known.all(axis=1)
    sign = known[:, 0].astype(jnp.float32) - known[:, 1]  # of pairs that are not of two numbers
    safe = jnp.where(known, fitness, 0.0)
    if shaping == "pairwise":
        return jnp.where(both, jnp.sign(safe[:, 0] - safe[:, 1]), sign)
    if shaping == "centred":
        ranks = _centred_ranks(jnp.where(known, fitness, -jnp.inf).ravel()).reshape(fitness.shape)
        return ranks[:, 0] - ranks[:, 1]
    count = jnp.maximum(known.sum(), 1)
    mean = safe.sum() / count
    std = jnp.sqrt(jnp.where(known, jnp.square(safe - mean), 0.0).sum() / count)
    unit = jnp.where(std > 0, std, 1.0)
    filled = jnp.where(known, fitness, jnp.where(known, fitness, jnp.inf).min() - unit)
    filled = jnp.where(known.any(), filled, 0.0)
    difference = filled[:, 0] - filled[:, 1]
    if shaping == "z-score":
        return difference / unit
    size = jnp.sqrt(jnp.square(difference).mean())
    return difference / jnp.where(size > 0, size, 1.0)


def _centred_ranks(x: Array) -> Array:
    """Average ranks of a vector, scaled to [-1/2, 1/2]."""
    in_order = jnp.sort(x)
    below, up_to = (jnp.searchsorted(in_order, x, side=side) for side in ("left", "right"))
    return (below + (up_to - below - 1) / 2) / (x.size - 1) - 0.5


def _settings(hyper: Hyper) -> Settings:
    return Settings(jnp.asarray(hyper.mask, jnp.float32), hyper.fixed)


def _adam(hyper: Hyper) -> optax.GradientTransformation:
    return optax.scale_by_adam(b1=hyper.beta1, b2=hyper.beta2)


def _in_lanes(fn: Callable[[PyTree], Array], items: PyTree, count: int, lane: int, axis: str | None) -> Array:
    """`fn` of every item, `lane` of them at a time, on the devices of `axis` in turn.

    Costs grow with the index, so that turns give every device its share of the long ones.
    """
    if axis is not None:
        devices = jax.lax.axis_size(axis)
        if count % (lane * devices):
            raise UsageError(
                f"work: {devices} devices cannot share {count // lane} lanes of {lane} pairs; choose a"
                " divisor of the number of lanes, or smaller lanes (Config.lane)"
            )
        turns = np.arange(count).reshape(-1, devices, lane).swapaxes(0, 1).ravel()
        own = share(jax.tree.map(lambda x: x[turns], items), axis)
        return gather(_in_lanes(fn, own, count // devices, lane, None), axis, 0)[np.argsort(turns)]
    return lifetimes.in_lanes(fn, min(lane, count))(items)


def _measured(fitness: Array, weights: Array, generation: Array) -> dict[str, Any]:
    """What is known about a generation; means over the lifetimes that did not break."""
    known = jnp.isfinite(fitness)
    stalled = jnp.all(weights == 0).astype(jnp.float32)
    return {
        "fitness": Mean(jnp.where(known, fitness, 0.0).sum(), known.sum().astype(jnp.float32)),
        "nan_lifetimes": (~known).sum().astype(jnp.float32),
        "ties": (weights == 0).sum().astype(jnp.float32),
        "stalled": stalled,
        "stalled_at": Mean(stalled * generation, stalled),
    }


def review(history: Any) -> str | None:
    """A warning that names the generations in which no pair said anything.

    history: name -> float32[L], among them "stalled", the share of such generations, and "stalled_at".
    """
    found = np.flatnonzero(np.nan_to_num(np.asarray(history["stalled"])) > 0)
    if not found.size:
        return None
    first = round(float(history["stalled_at"][found[0]]))
    return (
        f"in generation {first} (and {found.size - 1} more log points) all lifetimes were NaN or all pairs"
        " tied, so that nothing was learned there; take another sigma, longer lifetimes or more tasks"
    )
