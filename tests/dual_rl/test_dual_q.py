"""Dual-Q by networks against the primal, maximised without any dual; what each method reads."""

import jax
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from jaxrl.core.errors import UsageError
from jaxrl.data.dataset import from_occupancy
from jaxrl.dual_rl import forms
from jaxrl.dual_rl.data import Data
from jaxrl.dual_rl.methods import METHODS
from tests.dual_rl.dual_tables import (
    BOX,
    KEYS,
    OBS,
    TABLE,
    certain_problem,
    check_data_parallel,
    check_that_rewards_are_not_read,
    dataset,
    policy_table,
    start_of,
    table_of,
    train,
)
from theory.dual_rl.solve import run
from theory.exact.occupancy import discounted_occupancy, policy_of
from theory.exact.tables import tables

CERTAIN = certain_problem()
T = tables(CERTAIN.mdp)


def explorer():
    """Occupancy of the expert with a tenth of its actions at random, so that it visits every pair."""
    return discounted_occupancy(CERTAIN.mdp, 0.9 * policy_of(CERTAIN.d_e) + 0.1 / 3)


ENTROPY = 0.05


def best_policy(value):
    """Policy that maximises `value(d) + ENTROPY E_d[-log pi]`, by a general optimiser over logits."""

    def log_policy(logits):
        return log_softmax(np.clip(logits, -30, 30).reshape(5, 3), axis=1)

    def loss(logits):
        log_pi = log_policy(logits)
        d = discounted_occupancy(CERTAIN.mdp, np.exp(log_pi))
        return -value(d) + ENTROPY * (d * log_pi).sum()

    found = minimize(loss, np.zeros(15), tol=1e-12)
    return np.exp(log_policy(found.x)), -found.fun


def distance(p, q):
    """Pearson chi-square."""
    return float((q * (p / q - 1) ** 2).sum())


def entropy_between(p, q):
    """Kullback-Leibler."""
    return float((p * np.log(p / q)).sum())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("AlgaeDICE", marks=pytest.mark.slow),
        pytest.param("IQ-Learn", marks=pytest.mark.slow),
        pytest.param("ValueDICE", marks=pytest.mark.slow),
        pytest.param("OPOLO", marks=pytest.mark.slow),
        "ReCOIL-Q",
    ],
)
def test_dual_q_finds_the_policy_of_the_primal(name):
    """max over pi of min over Q with a slower pi, against the primal maximised without any dual."""
    d_e, d_o, d_s = explorer(), CERTAIN.d_o, CERTAIN.d_s
    value = {
        "AlgaeDICE": lambda d: float((d * T.R).sum()) - distance(d, d_o),
        "IQ-Learn": lambda d: -distance(d, d_e),
        "ValueDICE": lambda d: -entropy_between(d, d_e),
        "OPOLO": lambda d: d.sum(1) @ np.log(d_e.sum(1) / d_o.sum(1)) - entropy_between(d, d_o),
        # entropy enters through beta times the start term
        "ReCOIL-Q": lambda d: -distance(0.5 * d + 0.5 * d_s, 0.5 * d_e + 0.5 * d_s) / 0.5,
    }[name]
    policy, best = best_policy(value)
    config = forms.config(name, **TABLE)
    data = Data(
        from_occupancy(d_s if name == "ReCOIL-Q" else d_o, CERTAIN.mdp),
        from_occupancy(d_e, CERTAIN.mdp),
        start_of(CERTAIN.mdp),
    )
    slow = ((0.1, 3e-3, 6000), (0.1, 3e-3, 4000), (0.01, 3e-4, 3000), (1e-3, 3e-5, 1000))
    hyper = forms.hyper(config, gamma=0.9, entropy=ENTROPY, **({"penalty": 0.0} if name == "OPOLO" else {}))
    params, metrics = train(config, [hyper], data, slow)
    np.testing.assert_allclose(policy_table(params)[0], policy, atol=2e-3)
    of_both = best * (0.5 if name == "ReCOIL-Q" else 1.0) * 2  # twin critics
    assert float(metrics["q_loss"][0]) == pytest.approx(of_both, abs=1e-4)


def test_conservative_q_rests_where_the_semi_gradient_of_v_does():
    """CQL: at the saddle Q does not tell apart the actions that the policy takes, and is the V of SQL."""
    config = forms.config("CQL", **TABLE)
    data = Data(from_occupancy(CERTAIN.d_o, CERTAIN.mdp))
    phases = ((0.1, 3e-3, 6000), (0.1, 3e-3, 4000), (0.01, 3e-4, 3000), (1e-3, 3e-5, 1000))
    params, _ = train(config, [forms.hyper(config, gamma=0.9, tau=0.2, entropy=0.0)], data, phases)
    exact = run(METHODS["CQL"], CERTAIN)
    np.testing.assert_allclose(table_of(params["q"])[0, 0], exact.variable, atol=5e-3)
    np.testing.assert_allclose(policy_table(params)[0], exact.policy, atol=5e-3)


@pytest.mark.parametrize("name", ["ReCOIL-Q", "IQ-Learn"])
def test_imitation_never_reads_rewards(name):
    check_that_rewards_are_not_read(name)


@pytest.mark.parametrize(("name", "missing"), [("IQ-Learn", "expert"), ("AlgaeDICE", "start")])
def test_a_missing_dataset_is_named(name, missing):
    config = forms.config(name, batch_size=8, widths=())
    algorithm = forms.algorithm(config, OBS, BOX)
    with pytest.raises(UsageError, match=f"Data.{missing}: {name} needs it"):
        jax.eval_shape(algorithm.init, jax.random.key(0), forms.hyper(config), Data(dataset(BOX)))


@pytest.mark.parametrize(("name", "action_space"), [("ReCOIL-Q", BOX), ("CQL", KEYS)])
def test_four_devices_take_the_steps_of_one(name, action_space):
    check_data_parallel(name, action_space)
