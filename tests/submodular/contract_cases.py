"""The smallest problem for every algorithm of `jaxrl.submodular`, read by tests/contract."""

from jaxrl.baselines import ppo
from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.submodular import proximal, subpo


def _case(module, config, *hypers):
    env = coverage_grid((1.0, 2.0, 3.0, 4.0), 4, rows=2, cols=2, start=0, footprint="point")
    data = env.default_params()
    return module.make(config, env), hypers, data, env.observation_space, env.action_space


def _subpo():
    config = subpo.Config(n_envs=4, length=3, widths=(8,), baseline="critic", credit="gae")
    return _case(subpo, config, subpo.Hyper(), subpo.Hyper(lr=0.1, lambda_=0.5))


def _proximal():
    config = proximal.Config(n_envs=4, length=6, epochs=2, minibatches=2, widths=(8,), credit="to_go")
    return _case(proximal, config, ppo.Hyper(), ppo.Hyper(lr=0.01, gamma=0.9, updates_total=7.0))


CASES = {"proximal": _proximal, "subpo": _subpo}
