"""UCRL-RFE: a scripted run to every printed digit, budgets that stop it, planning, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import rewards, ucrl_rfe
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.regression import ridge
from tests.reward_free.mixtures import hashed, three_lock, uniforms
from theory.exact import planning_error

VISITED = ["01021", "00202", "01021", "00202", "01021", "02102"]
VALUES = [0.5901530373, 0.3538914985, 0.2888131297, 0.1889575058, 0.176794514, 0.1555707534]
GRAM = [[27.5797440899, 18.2922206657], [18.2922206657, 25.5819002546]]
THETA = [0.6441805947, 0.6913976526]


def scripted_run(dtype):
    """Six episodes in the published range at radius .3, a plan in every one: values, visits and state."""
    mixture = jax.tree.map(lambda x: x.astype(dtype), hashed())
    form, env = form_of(mixture), LinearMixture.of(mixture)
    config = ucrl_rfe.Config(horizon=4, value_range="published")
    hyper = ucrl_rfe.Hyper(horizon=4, bound=0.9**-0.5, ratio=1.0, shadow=0.0, c_beta=1.0)
    hyper = hyper.replace(c_beta=0.3 / ucrl_rfe.radius(config, hyper, form))
    state = ucrl_rfe.start(config, form, ridge(form, jnp.asarray(0.9, dtype)), hyper, jax.random.key(0))
    step = jax.jit(lambda state, u: ucrl_rfe.episode(config, env, form, state, hyper, mixture, u))
    values, visited = [], []
    P = np.asarray(mixture.to_tabular().P)
    for row in uniforms(6, 4):
        state = step(state, jnp.concatenate([jnp.zeros(1, dtype), jnp.asarray(row, dtype)]))
        values.append(float(state.certificate) / 4)
        s, seen = 0, "0"
        for h, u in enumerate(row):
            s = int((u >= P[s, state.plan.policy[h, s]].cumsum()).sum())
            seen += str(s)
        visited.append(seen)
    return values, visited, state


@pytest.mark.parametrize(("dtype", "tolerance"), [(jnp.float64, 1e-9), (jnp.float32, 2e-5)])
def test_a_scripted_run(dtype, tolerance):
    with jax.enable_x64(dtype == jnp.float64):
        values, visited, state = scripted_run(dtype)
        assert visited == VISITED
        np.testing.assert_allclose(values, VALUES, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(state.regression.gram[0], GRAM, rtol=tolerance)
        np.testing.assert_allclose(state.regression.theta[0], THETA, rtol=tolerance, atol=tolerance)
        assert state.plans == 6 and state.certified == -1


CONFIG = ucrl_rfe.Config(horizon=5, episodes=200)


@pytest.fixture(scope="module")
def explored():
    """The three-lock after at most 400 episodes: `(algorithm, hyper, mixture, states)`; a stop at .25."""
    with jax.enable_x64(True):
        mixture = three_lock()
        algorithm = ucrl_rfe.make(CONFIG, LinearMixture.of(mixture))
        hyper = ucrl_rfe.Hyper(horizon=5, c_beta=0.02, bound=2.6305892876, budget=3e4, epsilon=0.25)
        step, states = jax.jit(algorithm.step), [algorithm.init(jax.random.key(1), hyper, mixture)]
        for _ in range(2):
            states.append(step(states[-1], hyper, mixture)[0])
        yield algorithm, hyper, mixture, states


def test_exploration_stops_at_the_certificate(explored):
    _, hyper, _, (_, once, twice) = explored
    assert ucrl_rfe.certificate(once) <= hyper.epsilon and 0 < once.certified <= 200
    assert once.episodes == once.certified - 1
    for before, after in zip(once.regression, twice.regression, strict=True):
        np.testing.assert_array_equal(before, after)
    assert twice.episodes == once.episodes and twice.updates == 2


def test_many_rewards_are_planned_in_one_call_and_nearly_optimal(explored):
    """The stated loss is for every reward at once; here for the goal, at one stage and at random."""
    _, hyper, mixture, states = explored
    goal = rewards.one_shot(5, 4, jnp.zeros((5, 2)).at[3].set(1.0))
    asked = jnp.concatenate([goal[None], rewards.random_rewards(jax.random.key(0), 20, 5, 5, 2)])
    policies = ucrl_rfe.plan(CONFIG, states[-1], hyper, mixture, asked)
    P = np.asarray(mixture.to_tabular().P)
    for reward, policy in zip(np.asarray(asked), np.asarray(policies), strict=True):
        best, own = np.zeros(5), np.zeros(5)
        for h in reversed(range(5)):
            best = (reward[h] + P @ best).max(-1)
            own = (reward[h] + P @ own)[np.arange(5), policy[h]]
        assert best[0] - own[0] <= hyper.epsilon


def test_the_certificate_covers_the_worst_planning_error(explored):
    _, _, mixture, states = explored
    P, Q = (np.asarray(x) for x in (mixture.to_tabular().P, ucrl_rfe.model(states[-1], mixture)))
    np.testing.assert_allclose(Q.sum(-1), 1)
    found = planning_error.lower(P, Q, 5)
    assert found.value <= ucrl_rfe.certificate(states[-1])


def test_the_realised_radius_says_when_the_true_parameter_is_covered(explored):
    _, hyper, mixture, states = explored
    state = states[-1]
    rho = ucrl_rfe.realised_radius(CONFIG, state, hyper, mixture)
    away = np.asarray(state.regression.theta[0] - mixture.theta)
    beta = ucrl_rfe.radius(CONFIG, hyper, form_of(mixture)) / hyper.c_beta
    np.testing.assert_allclose(
        rho, np.sqrt(away @ np.asarray(state.regression.gram[0]) @ away) / beta, rtol=1e-8
    )


def test_the_published_range_has_larger_values():
    one = ucrl_rfe.Config(horizon=6)
    published = ucrl_rfe.Config(horizon=6, value_range="published")
    hyper = ucrl_rfe.Hyper(horizon=4)
    assert ucrl_rfe.ranges(one, hyper).tolist() == [1, 1, 1, 0, 0, 0]
    assert ucrl_rfe.ranges(published, hyper).tolist() == [3, 2, 1, 0, 0, 0]
    assert (ucrl_rfe.ceiling(one, hyper), ucrl_rfe.ceiling(published, hyper)) == (1, 4)
    norm = jnp.asarray([1e9])
    assert ucrl_rfe.pseudo_rewards(one, hyper, 1.0, norm)[:, 0].tolist() == [0.25] * 3 + [0] * 3
    assert ucrl_rfe.pseudo_rewards(published, hyper, 1.0, norm)[:, 0].tolist() == [1] * 3 + [0] * 3
