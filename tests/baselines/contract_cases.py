"""The smallest problem for every algorithm of `jaxrl.baselines`, read by tests/contract."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.baselines import bc, ppo, reinforce, sac, td3, value_iteration
from jaxrl.core.spaces import Discrete
from jaxrl.data.dataset import from_arrays
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.tabular import Tabular


def _online(module, env, config, *hypers):
    return module.make(config, env), hypers, env.default_params(), env.observation_space, env.action_space


def _ppo():
    config = ppo.Config(n_envs=4, length=8, epochs=2, minibatches=2, widths=(8,), normalise_obs=True)
    return _online(ppo, CartPole(), config, ppo.Hyper(), ppo.Hyper(lr=0.01, gamma=0.9, updates_total=7.0))


def _reinforce():
    config = reinforce.Config(n_envs=4, length=12, widths=(8,), baseline="critic")
    return _online(reinforce, CartPole(), config, reinforce.Hyper(), reinforce.Hyper(lr=0.1, gamma=0.9))


def _sac():
    config = sac.Config(n_envs=2, gradient_steps=1, batch_size=4, capacity=16, widths=(8,))
    # the first update learns, so that equal ends say something about the rates
    first, second = sac.Hyper(warmup=0), sac.Hyper(lr_actor=0.01, lr_critic=0.03, tau=0.1, warmup=0)
    return _online(sac, Pendulum(), config, first, second)


def _td3():
    config = td3.Config(n_envs=2, gradient_steps=2, batch_size=4, capacity=16, widths=(8,))
    first, second = td3.Hyper(warmup=0), td3.Hyper(lr_actor=0.01, lr_critic=0.03, tau=0.1, warmup=0)
    return _online(td3, Pendulum(), config, first, second)


def _td3_offline():
    rng = np.random.default_rng(0)
    space, actions, n = Pendulum().observation_space, Pendulum().action_space, 32
    rows = {name: rng.uniform(-1, 1, size=(n, 3)) for name in ("obs", "next_obs")}
    ends = {"terminated": np.ones(n, bool), "truncated": np.zeros(n, bool)}
    data = from_arrays(rows | ends | {"action": rng.uniform(-1, 1, (n, 1)), "reward": rng.normal(size=n)})
    config = td3.Config(gradient_steps=1, batch_size=8, widths=(8,), behaviour_cloning=True)
    algorithm = td3.make(config, space, actions)
    return algorithm, (td3.Hyper(), td3.Hyper(lr_actor=0.01)), data, space, actions


def _bc():
    rng = np.random.default_rng(0)
    space, n = CartPole().observation_space, 32
    rows = {name: rng.normal(size=(n, 4)) for name in ("obs", "next_obs")}
    ends = {"terminated": np.ones(n, bool), "truncated": np.zeros(n, bool)}
    data = from_arrays(rows | ends | {"action": rng.integers(0, 2, n), "reward": np.zeros(n)})
    algorithm = bc.make(bc.Config(batch_size=8, widths=(8,)), space, Discrete(2))
    return algorithm, (bc.Hyper(), bc.Hyper(lr=0.01)), data, space, Discrete(2)


def _value_iteration():
    env, mdp = Tabular(4, 3), random_mdp(jax.random.key(0), 4, 3)
    algorithm = value_iteration.make(value_iteration.Config(), env)
    hypers = (value_iteration.Hyper(), value_iteration.Hyper())
    return algorithm, hypers, jax.tree.map(jnp.asarray, mdp), env.observation_space, env.action_space


CASES = {
    "bc": _bc,
    "ppo": _ppo,
    "reinforce": _reinforce,
    "sac": _sac,
    "td3": _td3,
    "td3: offline": _td3_offline,
    "value_iteration": _value_iteration,
}
