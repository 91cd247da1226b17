"""Learners that know the reward on the lock of three digits: their run, and exact values."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import reward_aware, rewards
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.reward_aware import Data
from tests.reward_free.mixtures import three_lock

H, GOAL, OPTIMUM = 5, 3, 0.729  # the goal is paid at the last stage
BOUND = 2.6305892876


def problem():
    """The mixture with the reward 1 in the goal at the last stage."""
    return Data(three_lock(), rewards.one_shot(H, H - 1, jnp.zeros((5, 2)).at[GOAL].set(1.0)))


def value(data, policy):
    """V_1 of a policy int`[H, S]` at the start, by backward induction."""
    P, r, V = np.asarray(data.mixture.to_tabular().P), np.asarray(data.reward), np.zeros(5)
    for h in reversed(range(H)):
        V = (r[h] + P @ V)[np.arange(5), np.asarray(policy)[h]]
    return V[0]


@functools.cache
def states(module, updates=20, episodes=10, **hyper):
    """The states after each update, in double precision."""
    with jax.enable_x64(True):
        data = problem()
        algorithm = module.make(module.Config(horizon=H, episodes=episodes), LinearMixture.of(data.mixture))
        hyper = module.Hyper(horizon=H, bound=BOUND, **hyper)
        state, step, found = algorithm.init(jax.random.key(0), hyper, data), jax.jit(algorithm.step), []
        for _ in range(updates):
            state = step(state, hyper, data)[0]
            found.append(state)
    return found


def plans(module, **options):
    """Pairs of a state and the one after planning from it, at the end of each update.

    Planning is that of `reward_aware.replanned` with the rule that `make` hands on.
    """
    rules, before = [], states(module, **options)
    with pytest.MonkeyPatch.context() as patch, jax.enable_x64(True):
        data = problem()
        patch.setattr(reward_aware, "learner", lambda name, config, env, rule: rules.append(rule))
        module.make(module.Config(horizon=H), LinearMixture.of(data.mixture))
        form, hyper = form_of(data.mixture), module.Hyper(horizon=H, bound=BOUND, **options)
        plan = jax.jit(lambda state: reward_aware.replanned(form, rules[0], state, hyper, data.reward))
        return [(state, plan(state)) for state in before]


def regret(module, **options):
    """The cumulative regret of the policies that the updates end with, each for ten episodes; `[updates]`."""
    with jax.enable_x64(True):
        lost = [OPTIMUM - value(problem(), state.policy) for state in states(module, **options)]
    return 10 * np.cumsum(lost)


def distance(state, number):
    """|theta_m - theta*| in the metric of its Gram matrix, for regression m of the state, or the only one."""
    with jax.enable_x64(True):
        gram, b = np.asarray(state.regressions.gram), np.asarray(state.regressions.b)
    gram, b = (gram[number, 0], b[number, 0]) if gram.ndim == 4 else (gram[0], b[0])
    away = np.linalg.solve(gram, b) - np.asarray(three_lock().theta, np.float64)
    return np.sqrt(away @ gram @ away)


def dimension():
    """The number of features."""
    return form_of(three_lock()).dim
