"""The smallest problem for every explorer of continuous control, read by tests/contract."""

from jaxrl.envs.control.agv import Agv
from jaxrl.envs.control.point_maze import PointMaze
from jaxrl.reward_free.explorers import apt, disagreement, gfa_rfe, rnd, rnd_ppo

TINY = {"n_envs": 2, "gradient_steps": 1, "batch_size": 4, "capacity": 64, "widths": (4,)}


def _case(module, **choices):
    env = PointMaze()
    config = module.Config(**TINY, module_widths=(4,), **choices)
    hypers = module.Hyper(warmup=2), module.Hyper(warmup=3, lr_module=0.01)
    return module.make(config, env), hypers, env.default_params(), env.observation_space, env.action_space


def _ppo():
    env, sizes = Agv(), {"n_envs": 2, "length": 4, "epochs": 1, "minibatches": 2, "widths": (4,)}
    config = rnd_ppo.Config(**sizes, module_widths=(4,), outputs=3)
    hypers = rnd_ppo.Hyper(), rnd_ppo.Hyper(intrinsic=0.5, lr_module=0.01)
    return rnd_ppo.make(config, env), hypers, env.default_params(), env.observation_space, env.action_space


CASES = {
    "apt": lambda: _case(apt, units=3, neighbours=2),
    "disagreement": lambda: _case(disagreement, models=2),
    "gfa_rfe": lambda: _case(gfa_rfe, values=2, initial="outputs"),
    "rnd": lambda: _case(rnd, outputs=3),
    "rnd_ppo": _ppo,
}
