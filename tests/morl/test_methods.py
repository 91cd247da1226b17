"""Methods of the comparison: every one spends the same number of transitions."""

import typing
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.morl import methods
from experiments.morl.settings import SEA, finite
from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.envs.wrappers.prefer import prefer

BUDGET = methods.Budget(initial=8, rounds=1, updates=3, n_envs=4, capacity=16)


@pytest.fixture
def task():
    return methods.Task("dst-concave", SEA, finite("dst-concave"), BUDGET, 0, 2, None)


@pytest.fixture
def calls(monkeypatch):
    """Stage and environment steps of every training, none of which takes place."""
    seen = {}

    def train(algorithm, keys, hypers, data, *, updates, env_steps_per_update, stage, **options):
        seen[stage] = updates * env_steps_per_update
        history = {name: np.zeros((updates, len(keys))) for name in ("feasible", "gain")}
        return SimpleNamespace(state=SimpleNamespace(archive=jnp.zeros(len(keys))), history=history)

    monkeypatch.setattr(methods, "train", train)
    return seen


@pytest.mark.parametrize("method", typing.get_args(methods.Method))
def test_every_method_spends_the_whole_budget(task, calls, method):
    outcomes = methods.solve(task, (method,))
    assert list(outcomes) == [method]
    # 8 updates of 6 learners, one round of 3 updates of 8 runs, 4 environments of 64 steps
    assert sum(calls.values()) == (8 * 6 + 3 * 8) * 4 * 64
    rounds = np.isfinite(outcomes[method].feasible).all()
    assert rounds == (method in methods.EXTENSIONS)


def test_extensions_share_their_first_stage_and_the_released_one_has_its_own(task, calls):
    methods.solve(task, ("barrier", "no constraint", "released"))
    assert [stage for stage in calls if "initialise" in stage] == [
        "dst-concave-initialise",
        "dst-concave-initialise-released",
    ]


def test_a_budget_that_a_population_cannot_spend_is_refused():
    with pytest.raises(UsageError, match=r"Config.initial, Config.rounds: 84 .* no multiple of 18"):
        methods.Budget(initial=10, rounds=1, updates=3, n_envs=4, capacity=16).check(SEA)


def test_tables_of_a_conditioned_policy_are_its_actions(task):
    shown = prefer(task.found.env)
    config = methods._conditioned_learner(task)
    nets = ppo.networks(config, shown)
    params, w = nets.init(jax.random.key(0)), jnp.array([0.3, 0.7])
    wave = lambda x: x + 0.1 * jnp.sin(jnp.arange(x.size)).reshape(x.shape)  # noqa: E731
    params["actor"] = jax.tree.map(wave, params["actor"])
    policy = {"params": params, "preference": w}
    (table,) = methods.policy_tables(task, "conditioned", jax.tree.map(lambda x: x[None], policy))
    for s in (0, 17, 60):
        logits = nets.actor.apply(params["actor"], nets.encode({"obs": jnp.asarray(s), "preference": w}))
        np.testing.assert_allclose(table[s], jax.nn.softmax(logits), rtol=1e-5)
