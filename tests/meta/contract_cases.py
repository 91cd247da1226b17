"""Contract cases of this package; see tests/contract."""

import jax

from jaxrl.envs.grids.gridworld import GridWorld
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.meta import bandit, evolution, lpg, meta_gradient, targets
from jaxrl.meta.objective import MASKS

GRID = observe_time(GridWorld(LEVELS["debug"], index=True), scale=0.001)


def _lpg():
    env = GRID
    rule = targets.lpg(2, inputs=("n/N", "ln N"), embedding=2, width=3)
    algorithm = lpg.make(lpg.Config(n_envs=2, length=4, predictions=2), env, rule)
    hyper = lpg.Hyper(phi=rule.init(jax.random.key(0)))
    hypers = hyper, hyper.replace(mask=MASKS["none"], lr=10.0)
    return algorithm, hypers, env.default_params(), env.observation_space, env.action_space


def _network():
    env = GridWorld(LEVELS["debug"])
    config = lpg.Config(
        n_envs=2, length=4, predictions=2, widths=(4,), optimiser="adam", bootstrap_truncated=True
    )
    hyper = lpg.Hyper(lr=0.01, prediction_lr=0.01, max_grad_norm=None)
    rule = targets.reinforce()
    hyper = hyper.replace(phi=rule.init(jax.random.key(0)))
    algorithm = lpg.make(config, env, rule)
    return (
        algorithm,
        (hyper, hyper.replace(lr=0.02)),
        env.default_params(),
        env.observation_space,
        env.action_space,
    )


def _evolution():
    sizes = bandit.Config(arms=2, horizons=(1, 2), tasks=4)
    problem = bandit.problem(sizes, bandit.step_size())
    algorithm = evolution.make(evolution.Config(pairs=4, lane=2, selection=2, select_every=3), problem)
    hypers = evolution.Hyper(sigma=0.3, mask=MASKS["paper"]), evolution.Hyper(lr=0.1, mask=MASKS["none"])
    return algorithm, hypers, bandit.default_params(), problem.observation_space, problem.action_space


def _meta_gradient():
    config = meta_gradient.Config(
        learner=lpg.Config(n_envs=2, length=3, predictions=2), agents=2, updates=2, horizons=(2, 3)
    )
    rule = targets.lpg(2, inputs=("n/N", "ln N"), embedding=2, width=3)
    hypers = meta_gradient.Hyper(lr=0.01), meta_gradient.Hyper(lr=0.1, legacy_frozen_critic=1.0)
    return meta_gradient.make(config, GRID, rule), hypers, (), targets.reads(2), targets.says(2)


CASES = {
    "evolution": _evolution,
    "lpg: lookups": _lpg,
    "lpg: networks": _network,
    "meta_gradient": _meta_gradient,
}
