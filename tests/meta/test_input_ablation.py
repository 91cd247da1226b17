"""Warm starts of the ablation of time inputs are the blind rule, and begin where they are told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.meta import input_ablation
from jaxrl.meta import evolution, targets
from jaxrl.meta.objective import MASKS, TIME_INPUTS, Time
from tests.meta.test_evolution import quadratic
from tests.meta.test_targets import random_window

WINDOW = random_window(jax.random.key(1))
RULES = {
    "REINFORCE": targets.reinforce(inputs=TIME_INPUTS, start=0.5),
    "LPG": targets.lpg(4, inputs=TIME_INPUTS, embedding=2, width=3, bias=False),
}


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_without_weights_of_time_inputs_says_the_same_under_every_mask(kind):
    rule = RULES[kind]
    drawn = jax.tree.map(lambda x: x + 0.3, rule.init(jax.random.key(0)))
    warm = input_ablation.without_time(drawn, kind)

    @jax.jit
    def says(phi, mask):
        return jnp.concatenate([x.ravel() for x in rule.apply(phi, WINDOW, Time(3.0, 10.0, mask))])

    masks = [jnp.array(MASKS[name]) for name in ("none", "raw", "paper")]
    blind, *others = [np.asarray(says(warm, mask)) for mask in masks]
    assert all(np.array_equal(blind, other) for other in others)
    np.testing.assert_array_equal(blind, says(drawn, masks[0]))
    assert not np.array_equal(blind, says(drawn, masks[2]))


def test_evolution_begins_at_the_parameters_and_the_moments_that_it_is_given():
    made = evolution.make(evolution.Config(pairs=2, selection=0), quadratic())
    own = made.init(jax.random.key(0), evolution.Hyper(), ())
    moved = jax.tree.map(lambda x: x + 1, (own.params, own.opt_state))
    hyper = evolution.Hyper().replace(fixed=moved)
    state = input_ablation.beginning(made).init(jax.random.key(0), hyper, ())
    for a, b in zip(jax.tree.leaves((state.params, state.opt_state)), jax.tree.leaves(moved), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(state.best_params, moved[0])
    assert int(state.updates) == 0


def test_rows_of_lpg_begin_with_its_name_and_differences_are_from_the_arm_without_time():
    rng, masks = np.random.default_rng(0), list(MASKS)
    returns = rng.normal(size=(2, len(masks), 3, 2, 5))
    result = {
        "mask": np.array(masks),
        "horizon": np.array([5, 20]),
        "returns": returns,
        "blind": returns[0, 0],
    }
    plain, named = (input_ablation.scores(result | own) for own in ({}, {"kind": np.array("LPG")}))
    assert [f"LPG, {label}" for label in plain] == list(named)
    found = named["LPG, warm, raw minus none, N = 20"].values
    means = returns.mean(axis=-1)
    np.testing.assert_allclose(
        found, means[1, masks.index("raw"), :, 1] - means[1, masks.index("none"), :, 1]
    )
