"""The smallest problem for every algorithm of `jaxrl.morl`, read by tests/contract."""

import jax
import jax.numpy as jnp

from jaxrl.morl import cmorl, conditioned, decomposed, pgmorl, released, scalarised, utility
from jaxrl.morl.learners import EvaluationOptions
from jaxrl.morl.preferences import observation_space
from tests.morl.finite_problems import ENV, EXACT, LEARNER, MDP, extension_hyper, scalarised_hyper

SPACES = (observation_space(ENV.observation_space, 2), ENV.action_space)


def _scalarised(evaluation):
    algorithm = scalarised.make(scalarised.Config(LEARNER, 8, evaluation), ENV)
    hyper = scalarised_hyper()
    other = hyper.replace(learner=hyper.learner.replace(lr=0.1, gamma=0.8))
    return algorithm, (hyper, other), MDP, *SPACES


def _extension(optimiser):
    first, (hyper, _), *_ = _scalarised(EXACT)
    hyper = jax.tree.map(jnp.asarray, hyper)
    state = jax.jit(first.init)(jax.random.key(2), hyper, MDP)
    archive = jax.jit(first.step)(state, hyper, MDP)[0].archive
    config = cmorl.Config(LEARNER, EXACT, selected=2, updates=2, rounds=3, optimiser=optimiser)
    hypers = (extension_hyper(), extension_hyper(beta=0.5, t=50.0, integral=1.0, reference=hyper.reference))
    return cmorl.make(config, ENV), hypers, cmorl.Data(MDP, archive), *SPACES


def _released():
    hyper = jax.tree.map(jnp.asarray, scalarised_hyper())
    first = scalarised.make(scalarised.Config(LEARNER, 8, EXACT), ENV, released.with_optimiser)
    state = jax.jit(first.init)(jax.random.key(2), hyper, MDP)
    archive = jax.jit(first.step)(state, hyper, MDP)[0].archive
    config = released.Config(LEARNER, EXACT, selected=2, updates=2, rounds=3)
    hypers = (extension_hyper(), extension_hyper(beta=0.5, t=50.0))
    return released.make(config, ENV), hypers, cmorl.Data(MDP, archive), *SPACES


def _pgmorl():
    first = scalarised_hyper()
    config = pgmorl.Config(LEARNER, 8, EXACT, updates=2, generations=4, warmup=1, directions=4, angles=3)
    hyper = pgmorl.Hyper(first.weights, first.reference, first.learner, gamma=0.9)
    return pgmorl.make(config, ENV), (hyper, hyper.replace(alpha=0.0, reach=0.3)), MDP, *SPACES


def _conditioned():
    first = scalarised_hyper()
    config = conditioned.Config(LEARNER, 8, EvaluationOptions("sampled", episodes=4, limit=20))
    hyper = conditioned.Hyper(first.weights, first.reference, first.learner, gamma=0.9)
    other = hyper.replace(learner=hyper.learner.replace(lr=0.1))
    return conditioned.make(config, ENV), (hyper, other), MDP, *SPACES


def _decomposed():
    first = scalarised_hyper()
    config = decomposed.Config(
        LEARNER, 8, EXACT, scalarisation="tchebycheff", transfer=True, adapt=True, exchange=2
    )
    hyper = decomposed.Hyper(first.weights, first.reference, first.learner, gamma=0.9)
    return decomposed.make(config, ENV), (hyper, hyper.replace(margin=2.0, factor=1.5)), MDP, *SPACES


def _utility():
    hyper = utility.Hyper(scalarised_hyper().learner, gamma=0.9)
    algorithm = utility.make(utility.Config(LEARNER, 2, EXACT), ENV, jnp.min)
    return algorithm, (hyper, hyper.replace(gamma=0.5)), MDP, ENV.observation_space, ENV.action_space


CASES = {
    "conditioned": _conditioned,
    "decomposed": _decomposed,
    "utility": _utility,
    "scalarised": lambda: _scalarised(EvaluationOptions("sampled", episodes=4, limit=20)),
    "cmorl: barrier": lambda: _extension("barrier"),
    "pgmorl": _pgmorl,
    "released": _released,
    "cmorl: cpo": lambda: _extension("cpo"),
}
