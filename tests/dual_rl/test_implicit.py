"""Implicit maximisers: one update by hand, populations of methods, fixed points against the exact solvers."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.tree import tree_take
from jaxrl.data.dataset import from_occupancy
from jaxrl.dual_rl import agent, forms, implicit
from jaxrl.dual_rl.data import Data
from jaxrl.dual_rl.methods import METHODS
from tests.dual_rl.dual_tables import (
    BOX,
    KEYS,
    OBS,
    TABLE,
    check_data_parallel,
    dataset,
    floats,
    linear,
    policy_table,
    quick,
    scan,
    table_of,
    train,
    without_rewards,
)
from theory.dual_rl.reference import reference_problem
from theory.dual_rl.solve import run
from theory.exact.tables import tables

SMALL = {"batch_size": 8, "widths": ()}
PROBLEM = reference_problem()
SLOWER = ((0.05, 0.05, 1500), (0.005, 0.005, 1000), (0.0005, 0.0005, 800))


# --- one update, in the order V, policy, Q, targets ------------------------------------------------------


@pytest.fixture(scope="module")
def one_update():
    """IQL before and after one update on all rows of a small table, at rates that numpy can follow."""
    config = forms.config("IQL", batch_size=None, widths=())
    rates = {"lr_value": 0.1, "lr_actor": 0.1, "tau": 0.25}
    hyper = forms.hyper(config, gamma=0.9, parameter=0.7, reward_scale=0.5, **rates)
    data = Data(dataset(KEYS))
    algorithm = forms.algorithm(config, OBS, KEYS)
    before = quick(algorithm.init)(jax.random.key(0), hyper, data)
    step = quick(algorithm.step)
    after, metrics = step(before, hyper, data)
    _, blind = step(before, hyper, Data(without_rewards(data.reference)))
    return before, after, metrics, data.reference, blind


def test_one_update_by_hand(one_update):
    before, after, metrics, rows, _ = one_update
    obs, action, reward = (np.asarray(x, np.float64) for x in (rows.obs, rows.action, rows.reward))
    mean, std = obs.mean(0), obs.std(0)
    x, next_x = (obs - mean) / std, (np.asarray(rows.next_obs) - mean) / std
    pick = np.eye(3)[action.astype(int)]
    q = (linear(before.agent.target["q"], x) * pick).sum(-1).min(0)
    y = q - linear(before.agent.params["v"], x)[:, 0]
    loss = np.where(y < 0, 0.3, 0.7) * y**2
    assert float(metrics["v_loss"]) == pytest.approx(loss.mean(), rel=1e-4)
    # Adam's first step is the sign of the gradient times the rate
    grad = (np.where(y < 0, 0.3, 0.7) * -2 * y)[:, None] * x
    moved = np.asarray(after.agent.params["v"]["Dense_0"]["kernel"])[:, 0]
    moved = moved - np.asarray(before.agent.params["v"]["Dense_0"]["kernel"])[:, 0]
    np.testing.assert_allclose(moved, -0.1 * np.sign(grad.mean(0)), rtol=1e-3)
    # the policy and Q see the new V; the target of Q stops at terminations, not at time limits
    new_v = linear(after.agent.params["v"], x)[:, 0]
    weight = np.minimum(np.exp(3 * (q - new_v)), 100)
    assert float(metrics["ess"]) == pytest.approx(weight.sum() ** 2 / (24 * (weight**2).sum()), rel=1e-3)
    goal = 0.5 * reward + 0.9 * ~np.asarray(rows.terminated) * linear(after.agent.params["v"], next_x)[:, 0]
    error = np.abs((linear(before.agent.params["q"], x) * pick).sum(-1) - goal)
    assert float(metrics["q_loss"]) == pytest.approx((error**2 / 2).mean(1).sum(), rel=1e-4)
    assert int(rows.truncated.sum()) == 2 and int(rows.terminated.sum()) == 1
    for old, new, target in zip(
        *(floats(x) for x in (before.agent.target["q"], after.agent.params["q"])),
        floats(after.agent.target["q"]),
        strict=True,
    ):
        np.testing.assert_allclose(target, old + 0.25 * (new - old), atol=1e-6)


def test_offline_rl_reads_rewards(one_update):
    *_, metrics, _, blind = one_update
    assert np.isfinite(metrics["q_loss"]) and np.isnan(blind["q_loss"])


# --- populations -----------------------------------------------------------------------------------------

MANY = ("f-DVL chi2", "f-DVL tv", "XQL", "IQL")


@pytest.fixture(scope="module")
def population():
    """Four methods as one program, 200 updates, and the same again."""
    config = forms.config(*MANY, **SMALL)
    algorithm, data = forms.algorithm(config, OBS, BOX), Data(dataset(BOX))
    hypers = [forms.hyper(config, name) for name in MANY]
    keys = jax.random.split(jax.random.key(1), 4)
    return config, algorithm, data, keys, scan(algorithm, hypers, data, 200, keys, times=2)


def test_the_same_seed_gives_the_same_bits(population):
    first, again = population[-1]
    for a, b in zip(floats(first), floats(again), strict=True):
        np.testing.assert_array_equal(a, b)


def close(found, wanted):
    """To 1e-4 of the largest number of each array."""
    for a, b in zip(floats(found), floats(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


def test_members_of_a_population_are_single_runs():
    """Four seeds as one batch against each by itself, without a batch axis."""
    config = forms.config("f-DVL chi2", batch_size=8, widths=(8,))
    algorithm, data = forms.algorithm(config, OBS, BOX), Data(dataset(BOX))
    hyper = forms.hyper(config)
    keys = jax.random.split(jax.random.key(2), 4)

    @quick
    def single(key, data):
        state = algorithm.init(key, hyper, data)
        return jax.lax.fori_loop(0, 200, lambda _, s: algorithm.step(s, hyper, data)[0], state)

    ((states, _),) = scan(algorithm, [hyper] * 4, data, 200, keys)
    for i, key in enumerate(keys):
        close(single(key, data).agent.params, tree_take(states.agent.params, i))


def test_a_row_chosen_by_which_is_the_program_of_that_row_alone(population):
    _, _, data, keys, ((states, _), _) = population
    alone = forms.config(MANY[2], **SMALL)
    ((single, _),) = scan(forms.algorithm(alone, OBS, BOX), [forms.hyper(alone)], data, 200, keys[2:3])
    close(tree_take(single.agent.params, 0), tree_take(states.agent.params, 2))


def test_policies_clip_their_mean_and_know_the_range(population):
    config, algorithm, _, _, ((states, _), _) = population

    @quick
    def greedy(states, x):
        policy = algorithm.act(tree_take(states, 0), forms.hyper(config), True)
        return jax.vmap(lambda x: policy.act(jax.random.key(0), x, ())[0])(x)

    actions = greedy(states, 100 * np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32))
    assert np.abs(actions).max() <= 2 and np.abs(actions).max() > 1


def test_values_are_those_of_the_v_network(population):
    config, _, data, _, ((states, _), _) = population
    state, obs = tree_take(states, 0), data.reference.obs
    mean, std = np.asarray(obs).mean(0), np.asarray(obs).std(0)
    expected = linear(state.agent.params["v"], (np.asarray(obs) - mean) / std)[:, 0]
    found = quick(lambda state, obs: agent.value(config, OBS, BOX, state, obs))(state, obs)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    blind = state.replace(agent=state.agent._replace(params={"q": state.agent.params["q"]}))
    with pytest.raises(UsageError, match="value: the method has no V"):
        agent.value(config, OBS, BOX, blind, obs)


# --- fixed points ----------------------------------------------------------------------------------------

LOSSES = ("XQL", "f-DVL chi2", "f-DVL chi2 literal", "f-DVL chi2 exact", "f-DVL tv", "f-DVL kl", "IQL")


@pytest.fixture(scope="module")
def maximisers():
    config = forms.config(*LOSSES, **TABLE)
    hypers = [forms.hyper(config, name, gamma=0.9, tau=0.2) for name in LOSSES]
    return train(config, hypers, Data(from_occupancy(PROBLEM.d_o, PROBLEM.mdp)), SLOWER)


@pytest.mark.parametrize("name", LOSSES)
def test_implicit_maximisers_rest_at_the_exact_fixed_point(maximisers, name):
    """tv and the cut losses are not smooth: Adam hovers at a few steps of 5e-4 around their minimum."""
    params, _ = maximisers
    exact, i = run(METHODS[name], PROBLEM), LOSSES.index(name)
    np.testing.assert_allclose(table_of(params["v"])[i, :, 0], exact.variable, atol=1e-2)
    np.testing.assert_allclose(policy_table(params)[i], exact.policy, atol=1e-3)


def test_q_is_the_expected_target_on_the_data(maximisers):
    params, _ = maximisers
    v = table_of(params["v"])[..., 0]
    t = tables(PROBLEM.mdp)
    expected = t.R + 0.9 * np.einsum("sat,bt->bsa", t.P, v)
    q = table_of(params["q"])  # [B, 2, S, A]
    np.testing.assert_allclose(q, np.repeat(expected[:, None], 2, 1), atol=2e-2)


@pytest.mark.slow
def test_dual_weights_extract_the_exact_policy():
    """Temperatures divide residuals, lambda does not; policies are those of the exact solutions."""
    names = ("SQL", "EQL", "f-DVL chi2 exact")
    config = forms.config(*names, extraction="dual", **TABLE)
    members = [("SQL", 1.0), ("SQL", 0.3), ("EQL", 1.0), ("EQL", 0.3), ("f-DVL chi2 exact", 0.6)]
    hypers = [forms.hyper(config, name, gamma=0.9, tau=0.2, parameter=p) for name, p in members]
    params, _ = train(config, hypers, Data(from_occupancy(PROBLEM.d_o, PROBLEM.mdp)), SLOWER)
    for i, (name, parameter) in enumerate(members):
        exact = run(dataclasses.replace(METHODS[name], extraction="dual"), PROBLEM, parameter)
        np.testing.assert_allclose(table_of(params["v"])[i, :, 0], exact.variable, atol=1e-2)
        np.testing.assert_allclose(policy_table(params)[i], exact.policy, atol=2e-3)


# --- devices -----------------------------------------------------------------------------------------------


def test_four_devices_take_the_steps_of_one():
    """With the exponential loss, whose largest exponent is one of the whole batch."""
    check_data_parallel("XQL", BOX)


@pytest.mark.parametrize(
    ("name", "hyper", "sentence"),
    [
        ("f-DVL tv", {"parameter": 0.3}, "lambda"),
        ("f-DVL chi2", {"parameter": 5.0}, "lambda"),
        ("IQL", {"parameter": 3.0}, "the level of IQL"),
        ("XQL", {"parameter": 1.0, "which": 7}, "Hyper.which: must be below 1"),
    ],
)
def test_hyper_parameters_without_a_meaning_are_refused_without_the_help_of_forms(name, hyper, sentence):
    algorithm = implicit.make(implicit.Config(methods=(name,)), OBS, BOX)
    algorithm.check_hyper(implicit.Hyper(parameter=0.7), None)
    with pytest.raises(UsageError, match=sentence):
        algorithm.check_hyper(implicit.Hyper(**hyper), None)
