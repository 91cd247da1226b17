"""Arms of one program: what their numbers say is what the rules of their own are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.meta import arms, drift, evolution
from jaxrl.meta.arms import Fixed, assembled
from jaxrl.meta.lifetimes import draw_tasks, lifetime
from jaxrl.meta.objective import MASKS, Time

ENV = CartPole()
CONFIG = ppo.Config(n_envs=2, length=8, epochs=4, minibatches=2, widths=(4,))
RULE = drift.family(hidden=4)
LIVE = lifetime(drift.learner(CONFIG, ENV, RULE), ENV, episodes=2, fitness="area")
PHI = arms.evolved(RULE)(jax.random.key(0)) | {"w2": jnp.full(4, 2.0), "schedule": jnp.ones((3, 2))}
ALL = {"W1": 1.0, "w2": 1.0, "schedule": 1.0}
PAPER, NONE = jnp.array(MASKS["paper"]), jnp.array(MASKS["none"])


@jax.jit  # the one lifetime of these tests; rules, horizons and keys are arguments
def area(phi, mask, N, told, key):
    hyper = drift.told(ppo.Hyper(lr=0.05), phi, told, mask)
    return LIVE(hyper, ENV.default_params(), N, key)


def own(gates, **parts):
    return assembled(PHI, Fixed(drift.Parts(**parts), ALL | gates))


@pytest.mark.parametrize(
    ("arm", "rule"),
    [
        (own({"w2": 0.0, "schedule": 0.0}, ppo=1.0), drift.ppo()),
        (own({"w2": 0.0, "schedule": 0.0}, dpo=1.0), drift.dpo()),
        (own({"schedule": 0.0}, ppo=1.0, xi=drift.XI), drift.ta_lpo("ppo", 4)),
        (own({"w2": 0.0}, ppo=1.0), drift.scheduled_ppo()),
    ],
    ids=["PPO", "DPO", "TA-LPO", "scheduled PPO"],
)
def test_arms_are_the_rules_of_their_own(arm, rule):
    ratio = jnp.exp(jnp.linspace(-1, 1, 40))
    advantage = jnp.resize(jnp.array([1.0, -2.0, 0.5]), 40)
    points = ratio, jnp.log(ratio), advantage, Time(3.0, 4.0, MASKS["paper"])
    made = rule.init(jax.random.key(0))
    made = made | {name: arm[name] for name in made if name != "parts"}
    np.testing.assert_allclose(RULE.apply(arm, *points), rule.apply(made, *points), atol=1e-6)


def test_what_is_told_changes_a_rule_that_reads_it_and_no_other():
    key = jax.random.key(2)
    timed = own({"w2": 0.0}, ppo=1.0) | {"schedule": jnp.array([[0.0, -4.0], [0.0, 0.0], [0.0, 0.0]])}
    blind = own({"schedule": 0.0})
    told = [float(area(timed, PAPER, 12, horizon, key)) for horizon in (12.0, 48.0)]
    assert told[0] != told[1]
    assert float(area(blind, NONE, 12, 12.0, key)) == float(area(blind, NONE, 12, 48.0, key))
    assert np.isnan(area(timed | {"schedule": jnp.full((3, 2), jnp.nan)}, PAPER, 2, 2.0, key))


@pytest.mark.slow  # compiles a generation of lifetimes
def test_members_of_one_program_evolve_what_their_gates_let_through():
    """The first pairs of a network that says nothing are no ties: W1 is drawn, so +eps and -eps differ."""
    problem = arms.problem(LIVE, RULE, draw_tasks(ENV, 6, 6))
    algorithm = evolution.make(evolution.Config(pairs=4, selection=0, shaping="difference"), problem)
    hyper = evolution.Hyper(sigma=1.0, fixed=Fixed(drift.Parts(xi=drift.XI), ALL | {"schedule": 0.0}))
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, ppo.Hyper(lr=0.05))
    assert not state.params["w2"].any()
    after, metrics = jax.jit(algorithm.step)(state, hyper, ppo.Hyper(lr=0.05))
    assert int(metrics["ties"]) < 4 and float(metrics["nan_lifetimes"]) == 0
    assert np.all(np.isfinite(after.params["w2"])) and after.params["w2"].any()
