"""The smallest problem for every explorer of continuous control, read by tests/contract."""

from jaxrl.envs.control.point_maze import PointMaze
from jaxrl.reward_free.explorers import rnd

TINY = {"n_envs": 2, "gradient_steps": 1, "batch_size": 4, "capacity": 64, "widths": (4,)}


def _case(module, **choices):
    env = PointMaze()
    config = module.Config(**TINY, module_widths=(4,), **choices)
    hypers = module.Hyper(warmup=2), module.Hyper(warmup=3, lr_module=0.01)
    return module.make(config, env), hypers, env.default_params(), env.observation_space, env.action_space


CASES = {"rnd": lambda: _case(rnd, outputs=3)}
