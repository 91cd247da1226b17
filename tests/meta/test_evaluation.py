"""Frozen objectives on any environment: the same returns as the lifetimes they are made of, and refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.envs import catalogue
from jaxrl.envs.grids.gridworld import GridWorld
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.meta import drift, evaluation, lpg, targets, zoo
from jaxrl.meta.evaluation import evaluate_objective
from jaxrl.meta.lifetimes import draw_tasks, lifetime
from jaxrl.meta.objective import MASKS, Time, mask_of
from tests.meta.lived import ENV, SMALL, by_hand, drifts

LEVEL = dataclasses.replace(LEVELS["debug"], reward=((0.5, 1.0), (-1.0, 1.0)))
GRID = observe_time(GridWorld(LEVEL, index=True), scale=0.001)
REINFORCE = targets.reinforce(inputs=("n/N", "ln N"))
TARGETS = {"learner": lpg.Config(n_envs=2, length=5, predictions=2), "episodes": 2, "tasks": 4}


def pushed(**changes):
    """A time-aware drift that says much early in the lifetime and little later."""
    rule = drift.ta_lpo(hidden=4)
    phi = rule.init(jax.random.key(3))
    return by_hand(rule, phi | {"W1": phi["W1"].at[8:].multiply(-1.0), "w2": jnp.full(4, 2.0)} | changes)


def direct(entry, horizon, greedy):
    """The return of the third lifetime, of the rule at its own size and without `evaluate_objective`."""
    env = catalogue.make(ENV)
    tasks = draw_tasks(env, 1, 1)(jax.random.key(0), 4)
    algorithm = drift.learner(SMALL["learner"], env, entry.objective)
    numbers = drift.told(SMALL["hyper"], entry.phi, jnp.float32(horizon), jnp.array(MASKS["n/N"]))
    level, key = jax.tree.map(lambda x: x[2], (tasks.level, tasks.key))
    run = lifetime(algorithm, env, episodes=2, greedy=greedy)
    return jax.jit(run)(numbers, level, jnp.int32(horizon), key)


def test_returns_are_those_of_lifetimes_of_the_rule_itself():
    found = drifts(pushed())
    np.testing.assert_allclose(found[2], direct(pushed(), 6, False), atol=1e-6)
    assert np.std(found) > 0


def test_lifetimes_are_paired_and_blind_rules_do_not_see_what_they_are_told():
    told = drifts("ppo", told=2.0)
    np.testing.assert_array_equal(drifts("ppo"), told)
    assert not np.array_equal(drifts("ppo", seed=1), told)
    np.testing.assert_array_equal(drifts("ppo", 6, stopped=3), drifts("ppo", 3))
    assert not np.array_equal(drifts("ppo", 3), told)


def test_aware_rule_that_is_stopped_lives_as_one_that_is_told_more():
    entry = pushed()
    stopped = drifts(entry, 12, stopped=6)
    np.testing.assert_array_equal(stopped, drifts(entry, 6, told=12))
    assert not np.array_equal(stopped, drifts(entry, 6))
    blind = {"mask": MASKS["none"]}
    np.testing.assert_array_equal(drifts(entry, 6, told=12, **blind), drifts(entry, 6, **blind))


def test_padded_rule_is_the_rule():
    entry = pushed()
    wide = drift.padded(entry.phi, 32, 3)
    points = (
        jnp.array([0.5, 0.9, 1.2, 3.0]),
        jnp.log(jnp.array([0.5, 0.9, 1.2, 3.0])),
        jnp.array([-1.0, 2, 1, 1]),
    )
    time = drift.Time(2.0, 4.0, MASKS["paper"])
    value = drift.f(entry.phi, *points, time)
    np.testing.assert_allclose(drift.family(32, 3).apply(wide, *points, time), value, rtol=1e-5, atol=1e-7)
    assert np.any(value > 0)


def test_files_and_names_of_the_zoo_are_read(tmp_path):
    arrays = {k: np.asarray(v) for k, v in pushed().phi.items() if k != "parts"}
    path = zoo.save("own", "ta_lpo", {"hidden": 4}, arrays, {}, tmp_path)
    expected = drifts(pushed())
    for rule in (path, str(path.with_suffix(".npz")), zoo.load("own", folder=tmp_path)):
        np.testing.assert_array_equal(drifts(rule), expected)
    assert np.isfinite(drifts("scheduled_ppo_cartpole")).all()
    path.with_suffix(".npz").write_bytes(b"")
    with pytest.raises(CorruptInput, match="SHA-256"):
        drifts(path)


def test_diverged_learners_are_nan():
    assert np.isnan(drifts(pushed(w2=jnp.full(4, jnp.nan)))).all()


@pytest.mark.slow
def test_greedy_evaluation_is_that_of_greedy_lifetimes():
    found = drifts(pushed(), greedy=True)
    np.testing.assert_allclose(found[2], direct(pushed(), 6, True), atol=1e-6)
    assert not np.array_equal(found, drifts(pushed()))


@pytest.mark.slow
def test_rules_for_targets_are_evaluated_likewise():
    entry = by_hand(REINFORCE, jnp.array([0.0, 1.0, -0.5]))
    returns = evaluate_objective(entry, GRID, 6, **TARGETS)
    algorithm = lpg.make(TARGETS["learner"], GRID, REINFORCE)
    run = jax.jit(lifetime(algorithm, GRID, episodes=2))
    tasks = draw_tasks(GRID, 1, 1)(jax.random.key(0), 4)
    numbers = lpg.told(lpg.Hyper(), entry.phi, 6.0, jnp.array(MASKS["paper"]))
    level, key = jax.tree.map(lambda x: x[1], (tasks.level, tasks.key))
    np.testing.assert_allclose(returns[1], run(numbers, level, jnp.int32(6), key), atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "env", "changes", "says"),
    [
        ("lpo_cartpol", ENV, {}, "no 'lpo_cartpol'; did you mean 'lpo_cartpole'"),
        ("none.npz", ENV, {}, "none.json: does not exist; a rule is a pair of files"),
        ("ppo", "CartPolle", {}, "environment 'CartPolle' does not exist; .*'CartPole'"),
        ("ppo", "DeepSeaTreasure", {}, "has 2 rewards; scalarise it"),
        ("ppo", "Coverage", {}, ": has no time limit, so that"),
        (by_hand(REINFORCE), "Pendulum", TARGETS, "has continuous actions; discretise them"),
        (by_hand(REINFORCE), ENV, SMALL, 'own is of the slot "targets", whose learner takes a lpg.Config'),
        ("ppo", ENV, {"hyper": lpg.Hyper()}, 'hyper: ppo is of the slot "drift".* takes a ppo.Hyper'),
        ("ppo", ENV, {"horizon": 0}, "horizon: must be >= 1"),
        ("ppo", ENV, {"stopped": 9}, "stopped: must be at most the horizon of 6 updates, got 9"),
        ("ppo", ENV, {"told": 0.5}, "told: must be a horizon of at least 1 update, got 0.5"),
        ("ppo", ENV, {"mask": (1.0,)}, r"mask: has shape \[1\]; give one factor for each"),
        ("ppo", ENV, {"tasks": 0}, "tasks: must be >= 1"),
        ("ppo", ENV, {"together": 3}, "3 tasks run together, which does not divide 4"),
        (by_hand(REINFORCE, jnp.zeros(2)), ENV, TARGETS, r"Hyper\.phi: is not what `init` of scheduled"),
        ("ppo", ENV, {"hyper": ppo.Hyper(lr=-1.0)}, r"Hyper\.lr: must be >= 0"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(rule, env, changes, says):
    arguments = {"horizon": 6} | (TARGETS if changes is TARGETS else SMALL) | changes
    with pytest.raises(UsageError, match=says):
        evaluate_objective(rule, env, **arguments)


def test_closed_forms_of_any_degree_share_a_program_and_stay_what_they_are():
    ratio, advantage = jnp.array([0.4, 0.9, 1.3, 2.0]), jnp.array([-1.0, 0.5, 1.0, -2.0])
    for name in ("dpo_cartpole", "ta_dpo_cartpole"):
        entry = zoo.load(name)
        objective, phi = evaluation._shared(entry.objective, entry.phi)
        assert objective is drift.ta_dpo(2) and phi["coefficients"].shape[-1] == 3
        at = ratio, jnp.log(ratio), advantage, Time(20.0, 40.0, mask_of(entry.objective.inputs))
        own = entry.objective.apply(entry.phi, *at)
        np.testing.assert_allclose(objective.apply(phi, *at), own, rtol=1e-6, atol=1e-7)
        assert own.max() > 0.01
