"""Contract cases of this package; see tests/contract."""

import jax

from jaxrl.envs.grids.gridworld import GridWorld
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.meta import lpg, targets
from jaxrl.meta.objective import MASKS


def _lpg():
    env = observe_time(GridWorld(LEVELS["debug"], index=True), scale=0.001)
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


CASES = {"lpg: lookups": _lpg, "lpg: networks": _network}
