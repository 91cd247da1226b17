"""Methods for a set of policies, each trained on the same number of transitions of one finite task.

Every method has learners of the same kind, and counts updates of learners: a population of M spends M per
update, a round of the extension N m K. What all leave is an archive and the tables of its policies.

Legend: `S` seeds, `M` preferences, `N` selected members, `m` objectives, `C` members, `A` actions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.morl.settings import Finite, Setting, grid, learner, numbers
from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Array
from jaxrl.envs.wrappers.prefer import prefer
from jaxrl.morl import cmorl, conditioned, decomposed, pgmorl, released, scalarised
from jaxrl.morl.archive import Archive
from jaxrl.morl.preferences import preferences
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import Trained, train

Method = Literal[
    "barrier",
    "lagrangian",
    "cpo",
    "released term",
    "released",
    "no constraint",
    "random selection",
    "scalarised",
    "conditioned",
    "PGMORL",
    "MORL/D",
    "MORL/D, Tchebycheff",
]
"""Extensions of a stage 1 first, then the methods that have none."""

EXTENSIONS: dict[str, dict[str, Any]] = {
    "barrier": {"optimiser": "barrier"},
    "lagrangian": {"optimiser": "lagrangian"},
    "cpo": {"optimiser": "cpo"},
    "released term": {"optimiser": "official"},
    "released": {"optimiser": "official"},
    "no constraint": {"optimiser": "none"},
    "random selection": {"optimiser": "barrier", "selection": "random"},
}
WIDTHS, RATE = (64, 64), 3e-3  # of the conditioned learner, which no table of states serves


@dataclass(frozen=True)
class Budget:
    """How long everything takes.

    initial: updates of stage 1; rounds, updates: of stage 2; n_envs: environments per learner; capacity:
    members of an archive.
    """

    initial: int
    rounds: int
    updates: int
    n_envs: int
    capacity: int

    def learner_updates(self, one: Setting) -> int:
        """Updates of learners that every method spends."""
        return self.initial * len(grid(one)) + self.rounds * self.updates * one.selected * len(one.objectives)

    def check(self, one: Setting) -> None:
        """Raise `UsageError` where a population cannot spend the whole budget."""
        total, M = self.learner_updates(one), len(grid(one))
        if total % (M * self.updates):
            raise UsageError(
                f"Config.initial, Config.rounds: {total} updates of learners are no multiple of"
                f" {M * self.updates}, a generation of {M} learners; change either"
            )


class Outcome(NamedTuple):
    """What a method leaves: archives `[S, ...]`, and by round `[S, rounds]` the share of feasible iterates
    and the gain of objective l, NaN where there are no rounds.
    """

    archive: Archive
    feasible: np.ndarray
    gain: np.ndarray


class Task(NamedTuple):
    """One task and what it is solved with."""

    name: str
    one: Setting
    found: Finite
    budget: Budget
    seed: int
    seeds: int
    folder: RunFolder

    @property
    def steps(self) -> int:
        """Environment steps of one update of one learner."""
        return self.budget.n_envs * self.one.length

    def ppo_config(self) -> ppo.Config:
        """The learner of every method but the conditioned one."""
        return learner(self.one, self.budget.n_envs)

    def fit(self, algorithm: Algorithm, hyper: Any, updates: int, each: int, stage: str) -> Trained:
        """Trains a method without stages; `each` updates of learners are one update of it."""
        return train(
            algorithm,
            member_keys(self.seed, self.seeds),
            stack_hypers([hyper], self.seeds),
            self.found.mdp,
            updates=updates,
            env_steps_per_update=each * self.steps,
            stage=f"{self.name}-{stage}",
            folder=self.folder,
        )


def solve(task: Task, methods: tuple[Method, ...]) -> dict[str, Outcome]:
    """Outcomes of all methods by name, in the order given; extensions share their stage 1."""
    begun: dict[bool, Archive] = {}
    outcomes: dict[str, Outcome] = {}
    for method in methods:
        if method in EXTENSIONS:
            as_released = method == "released"
            if as_released not in begun:
                begun[as_released] = _initialise(task, as_released)
            outcomes[method] = _extend(task, method, begun[as_released])
        else:
            trained = _WHOLE[method](task)
            none = np.full((task.seeds, task.budget.rounds), np.nan)
            outcomes[method] = Outcome(trained.state.archive, none, none)
    return outcomes


def policy_tables(task: Task, method: str, policies: Any) -> Array:
    """Probabilities float[n, S, A] of policies, leaves `[n, ...]`, as the task evaluates them."""
    states = task.found.mdp.n_states
    if method == "conditioned":
        nets = ppo.networks(_conditioned_learner(task), prefer(task.found.env))

        def features(policy: Any) -> Array:
            return jax.vmap(lambda s: nets.encode({"obs": s, "preference": policy["preference"]}))(
                jnp.arange(states)
            )
    else:
        nets = ppo.networks(task.ppo_config(), task.found.env)

        def features(policy: Any) -> Array:
            return jnp.eye(states)

    def of(policy: Any) -> Array:
        logits = nets.actor.apply(policy["params"]["actor"], features(policy))
        if task.found.task.evaluation == "greedy":
            return jax.nn.one_hot(logits.argmax(-1), logits.shape[-1])
        return jax.nn.softmax(logits)

    return jax.vmap(of)(policies)


def _base(task: Task, updates: int) -> dict[str, Any]:
    """Hyper-parameters of a population; `updates` are those of one learner."""
    return {
        "weights": preferences(grid(task.one), len(task.found.task.reference)),
        "reference": np.asarray(task.found.task.reference, np.float32),
        "learner": numbers(task.one, task.found, updates),
        "gamma": task.found.task.gamma,
    }


def _static(task: Task, updates: int = 1) -> dict[str, Any]:
    return {
        "learner": task.ppo_config(),
        "capacity": task.budget.capacity,
        "evaluation": task.found.evaluation,
        "updates": updates,
    }


def _initialise(task: Task, as_released: bool) -> Archive:
    base = _base(task, task.budget.initial)
    keep = {"keep": released.with_optimiser} if as_released else {}
    if as_released:
        base["learner"] = base["learner"].replace(anneal=1.0)
    algorithm = scalarised.make(scalarised.Config(**_static(task)), task.found.env, **keep)
    stage = "initialise-released" if as_released else "initialise"
    hyper, each = scalarised.Hyper(**base), len(base["weights"])
    return task.fit(algorithm, hyper, task.budget.initial, each, stage).state.archive


def _extend(task: Task, method: Method, begin: Archive) -> Outcome:
    one, budget, seeds = task.one, task.budget, task.seeds
    module: Any = released if method == "released" else cmorl
    config = module.Config(
        learner=task.ppo_config(),
        evaluation=task.found.evaluation,
        selected=one.selected,
        updates=budget.updates,
        rounds=budget.rounds,
        **EXTENSIONS[method],
    )
    hyper = cmorl.Hyper(
        reference=np.asarray(task.found.task.reference, np.float32),
        learner=numbers(one, task.found, budget.updates).replace(entropy=0.0),
        gamma=task.found.task.gamma,
        t=one.t[0],
    )
    trained = train(
        module.make(config, task.found.env),
        # entries 0 and 1 of a member's stream are those of its first stage
        jax.vmap(stream, (0, None))(member_keys(task.seed, seeds), 2),
        stack_hypers([hyper], seeds),
        cmorl.Data(jax.tree.map(lambda x: jnp.broadcast_to(x, (seeds, *x.shape)), task.found.mdp), begin),
        shared_data=False,
        updates=budget.rounds,
        log_every=1,
        env_steps_per_update=budget.updates * one.selected * len(one.objectives) * task.steps,
        stage=f"{task.name}-{method.replace(' ', '-')}",
        folder=task.folder,
    )
    return Outcome(trained.state.archive, trained.history["feasible"].T, trained.history["gain"].T)


def _scalarised(task: Task) -> Trained:
    M = len(grid(task.one))
    updates = task.budget.learner_updates(task.one) // M
    algorithm = scalarised.make(scalarised.Config(**_static(task)), task.found.env)
    return task.fit(algorithm, scalarised.Hyper(**_base(task, updates)), updates, M, "scalarised")


def _conditioned_learner(task: Task) -> ppo.Config:
    return replace(task.ppo_config(), widths=WIDTHS)


def _conditioned(task: Task) -> Trained:
    """One learner spends the whole budget, and is evaluated for M preferences at every M-th update."""
    M, total = len(grid(task.one)), task.budget.learner_updates(task.one)
    config = conditioned.Config(**_static(task, M) | {"learner": _conditioned_learner(task)})
    base = _base(task, total)
    hyper = conditioned.Hyper(**base | {"learner": base["learner"].replace(lr=RATE)})
    return task.fit(conditioned.make(config, task.found.env), hyper, total // M, M, "conditioned")


def _pgmorl(task: Task) -> Trained:
    M, length = len(grid(task.one)), task.budget.updates
    updates = task.budget.learner_updates(task.one) // M
    warmup = max(1, task.budget.initial // length)
    config = pgmorl.Config(**_static(task, length), generations=updates // length, warmup=warmup)
    hyper = pgmorl.Hyper(**_base(task, updates))
    return task.fit(pgmorl.make(config, task.found.env), hyper, updates // length, M * length, "pgmorl")


def _decomposed(task: Task, scalarisation: Any) -> Trained:
    M = len(grid(task.one))
    updates = task.budget.learner_updates(task.one) // M
    config = decomposed.Config(
        **_static(task),
        scalarisation=scalarisation,
        transfer=True,
        adapt=True,
        exchange=task.budget.updates,
    )
    algorithm = decomposed.make(config, task.found.env)
    stage = f"decomposed-{scalarisation.replace(' ', '-')}"
    return task.fit(algorithm, decomposed.Hyper(**_base(task, updates)), updates, M, stage)


_WHOLE = {
    "scalarised": _scalarised,
    "conditioned": _conditioned,
    "PGMORL": _pgmorl,
    "MORL/D": lambda task: _decomposed(task, "weighted sum"),
    "MORL/D, Tchebycheff": lambda task: _decomposed(task, "tchebycheff"),
}
