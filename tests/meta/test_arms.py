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
from tests.meta.lived import by_hand, drifts

RULE = drift.family(hidden=4)
PHI = arms.evolved(RULE)(jax.random.key(0)) | {"w2": jnp.full(4, 2.0), "schedule": jnp.ones((3, 2))}
ALL = {"W1": 1.0, "w2": 1.0, "schedule": 1.0}


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


def lived(phi, mask, horizon, told):
    return drifts(by_hand(RULE, phi), horizon, told=told, mask=MASKS[mask])


def test_what_is_told_changes_a_rule_that_reads_it_and_no_other():
    timed = own({"w2": 0.0}, ppo=1.0) | {"schedule": jnp.array([[0.0, -4.0], [0.0, 0.0], [0.0, 0.0]])}
    blind = own({"schedule": 0.0})
    assert not np.array_equal(*(lived(timed, "paper", 12, told) for told in (12.0, 48.0)))
    np.testing.assert_array_equal(*(lived(blind, "none", 12, told) for told in (12.0, 48.0)))
    assert np.isnan(lived(timed | {"schedule": jnp.full((3, 2), jnp.nan)}, "paper", 2, 2.0)).all()


@pytest.mark.slow  # compiles a generation of lifetimes
def test_members_of_one_program_evolve_what_their_gates_let_through():
    """The first pairs of a network that says nothing are no ties: W1 is drawn, so +eps and -eps differ."""
    env, config = CartPole(), ppo.Config(n_envs=2, length=8, epochs=4, minibatches=2, widths=(4,))
    live = lifetime(drift.learner(config, env, RULE), env, episodes=2, fitness="area")
    problem = arms.problem(live, RULE, draw_tasks(env, 6, 6))
    algorithm = evolution.make(evolution.Config(pairs=4, selection=0, shaping="difference"), problem)
    hyper = evolution.Hyper(sigma=1.0, fixed=Fixed(drift.Parts(xi=drift.XI), ALL | {"schedule": 0.0}))
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, ppo.Hyper(lr=0.05))
    assert not state.params["w2"].any()
    after, metrics = jax.jit(algorithm.step)(state, hyper, ppo.Hyper(lr=0.05))
    assert int(metrics["ties"]) < 4 and float(metrics["nan_lifetimes"]) == 0
    assert np.all(np.isfinite(after.params["w2"])) and after.params["w2"].any()
