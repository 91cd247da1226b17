"""The extension as the released code runs it (repository RuohLiuq/C-MORL at 67473b5), for comparison.

It differs from `cmorl.py` in more than its term (`official.py`):

    start points      the m runs from one selected policy follow each other, and the run of objective l >= 1
                      goes on from the end of the run of l - 1, not from the selected policy
    learning rates    stage 1 decays its rate linearly to zero, a snapshot keeps its optimiser with the rate,
                      and the extension goes on with both: late snapshots have almost none left

Each can be switched off. Bounds and feasibility are those of the selected policy, so that they mean the same
as in `cmorl.py`. Its archive holds optimisers, too: stage 1 is `scalarised.make(..., keep=with_optimiser)`.

Legend: `N` selected members, `m` objectives, `K` updates of a run. One update is one round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.baselines import ppo
from jaxrl.core.prng import stream, streams
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Algorithm, Array, Key, Mean, Origin, Policy, PyTree
from jaxrl.envs.base import Env
from jaxrl.morl import cmorl
from jaxrl.morl.cmorl import Data, State, check_start, first_state, next_state, problems, selected
from jaxrl.morl.constraints import Optimiser
from jaxrl.morl.extension import Batch, Runs, extension
from jaxrl.morl.learners import Evaluated, check_learner, resumed, snapshot
from jaxrl.morl.preferences import archive_policy, observation_space
from jaxrl.morl.scalarised import archive_metrics


@dataclass(frozen=True)
class Config(cmorl.Config):
    """Static choices of the extension, and the two habits of the released code."""

    optimiser: Optimiser = "official"
    """Constraint optimiser, see `constraints.py`. Released: its term, which holds no constraint."""
    leak: bool = True
    """Whether the run of the next objective begins where the last one ended, not at the selected policy."""
    decay: bool = True
    """Whether runs go on with the learning rate and the optimiser of the snapshot, in place of fresh ones."""


def with_optimiser(learners: ppo.State, hyper: ppo.Hyper) -> dict[str, PyTree]:
    """Snapshots of learners, leaves `[M, ...]`, with their optimisers and the rate of the last update."""
    last = jnp.minimum((learners.updates - 1) / hyper.updates_total, 1.0)
    return _kept(learners, hyper.lr * (1 - hyper.anneal * last))


def _kept(learners: ppo.State, rate: Array) -> dict[str, PyTree]:
    return snapshot(learners) | {"opt_state": learners.opt_state, "rate": rate}


def make(config: Config, env: Env) -> Algorithm:
    """The released extension on `env`; `data` is a `cmorl.Data` with an archive of `with_optimiser`.

    Policies and records are those of `cmorl.make`, runs are ordered by start, then objective, and beside them

        leak    mean of |G_j at the start of a run - G_j of the selected policy| / spread of objective j
        rate    mean learning rate of the runs

    Raises `UsageError` where `cmorl.make` does.
    """
    check_learner(config.learner, env, config.evaluation)
    nets = ppo.networks(config.learner, env)
    policy = archive_policy(config.learner, nets)

    def keep(learners: ppo.State, batch: Batch) -> dict[str, PyTree]:
        assert batch.rate is not None
        return _kept(learners, batch.rate)

    begin_runs, extend = extension(
        config.learner, env, config.evaluation, config.optimiser, config.updates, keep
    )
    m, n = env.reward_dim, config.selected
    assert m is not None

    def init(key: Key, hyper: cmorl.Hyper, data: Data) -> State:
        check_start(config, hyper, data, m)
        return first_state(config, data.archive, m, key)

    def step(state: State, hyper: cmorl.Hyper, data: Data) -> tuple[State, dict[str, Any]]:
        k_init, k_runs, k_select = jax.random.split(stream(state.key, state.updates), 3)
        index, live = selected(config, state, k_select)
        begin = tree_take(state.archive.entries, index)
        blank = begin_runs(streams(k_init, n), hyper, jnp.zeros((n, m)), data.env)
        fresh = jax.vmap(resumed)(blank, begin.policy)
        rate = jnp.full(n, hyper.learner.lr)
        if config.decay:
            fresh, rate = fresh.replace(opt_state=begin.policy["opt_state"]), begin.policy["rate"]
        own = Evaluated(begin.returns, begin.undiscounted, begin.length)

        def objective(runs: Runs, l: Array) -> tuple[Runs, dict[str, Array]]:
            extended = jnp.broadcast_to(jax.nn.one_hot(l, m), (n, m))
            problem, fallback = problems(config, hyper, state.archive, begin, extended)
            batch = Batch(
                problem,
                live,
                start=jnp.arange(n, dtype=jnp.int32),
                objective=jnp.full(n, l, jnp.int32),
                round=jnp.full(n, state.updates),
                rate=rate,
            )
            if not config.leak:
                runs = Runs(fresh, own, runs.archive)
            after, record = extend(stream(k_runs, l), hyper, data.env, batch, runs)
            found = {
                "loss": record["loss"].mean(0),
                "feasible": record["feasible"],
                "start": runs.values.returns,
                "end": after.values.returns,
                "threshold": problem.thresholds,
                "fallback": fallback,
                "leak": (jnp.abs(runs.values.returns - begin.returns) / problem.scale).mean(-1),
            }
            return after, found

        runs, found = jax.lax.scan(objective, Runs(fresh, own, state.archive), jnp.arange(m))
        count = live.sum()
        gain = jnp.einsum("lnl->ln", found["end"] - found["start"])
        per_run = {name: x.swapaxes(0, 1).ravel() for name, x in found.items() if name != "feasible"}
        metrics = {f"loss/{i}": x for i, x in enumerate(per_run["loss"])}
        metrics |= {
            "feasible": Mean(found["feasible"].sum(), count * m * config.updates),
            "feasible/curve": Mean(found["feasible"].sum(0), count * m),
            "gain": Mean((gain * live[None]).sum(), count * m),
            "selected": live.sum(),
            "fallback": Mean((found["fallback"] * live[None]).sum(), count * m),
            "leak": Mean((found["leak"] * live[None]).sum(), count * m),
            "rate": Mean((rate * live).sum(), count),
            "extension/live": live,
            **{f"extension/{name}": per_run[name] for name in ("start", "end", "threshold")},
        }
        after = next_state(config, state, runs.archive, index, live)
        return after, metrics | archive_metrics(runs.archive, jnp.asarray(hyper.reference))

    def act(state: State, hyper: cmorl.Hyper, greedy: bool) -> Policy:
        return policy(state.archive, greedy)

    reads = observation_space(env.observation_space, m)
    return Algorithm(init, step, act, origin=Origin(__name__, config, reads, env.action_space, env))
