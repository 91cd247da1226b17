"""SAC, behaviour cloning and value iteration refuse what they cannot do, naming the field and the fix."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import bc, sac, value_iteration
from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.data.dataset import from_arrays
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.rollout.unroll import Freeze


@dataclasses.dataclass(frozen=True)
class Shaped:
    """The spaces of an environment, and nothing else."""

    action_space: Box = dataclasses.field(default_factory=lambda: Box(-1.0, 1.0, (1,)))
    reward_dim: int | None = None
    observation_space: Box = dataclasses.field(default_factory=lambda: Box(0.0, 1.0, (1,)))
    name: str = "Shaped"


def dataset(reward):
    n = len(reward)
    arrays = {"obs": np.zeros((n, 1)), "next_obs": np.zeros((n, 1)), "action": np.zeros(n, int)}
    ends = {"terminated": np.ones(n, bool), "truncated": np.zeros(n, bool)}
    dim = None if reward.ndim == 1 else reward.shape[1]
    return from_arrays(arrays | ends | {"reward": reward}, reward_dim=dim)


def start_value_iteration(env, mdp):
    algorithm = value_iteration.make(value_iteration.Config(), env)
    return algorithm.init(jax.random.key(0), value_iteration.Hyper(), mdp)


SAC, VI = sac.Config(), value_iteration.Config()
OBS, BOX = Box(0.0, 1.0, (1,)), Box(-1.0, 1.0, (1,))
UNBOUNDED, INTEGERS = Box(-np.inf, np.inf, (1,)), Box(0, 3, (1,), np.int32)

CASES = {
    "sac n_envs": (lambda: sac.Config(n_envs=0), r"Config\.n_envs: must be >= 1, got 0"),
    "sac length": (lambda: sac.Config(length=-1), r"Config\.length: must be >= 1, got -1"),
    "sac gradient_steps": (lambda: sac.Config(gradient_steps=0), r"Config\.gradient_steps: must be >= 1"),
    "sac batch_size": (lambda: sac.Config(batch_size=0), r"Config\.batch_size: must be >= 1"),
    "sac capacity": (
        lambda: sac.Config(n_envs=8, length=4, capacity=31),
        r"Config\.capacity: must hold one update's 32 transitions, got 31",
    ),
    "sac widths": (lambda: sac.Config(widths=(8, 0)), r"Config\.widths: must all be >= 1"),
    "sac reset": (lambda: sac.Config(reset=Freeze()), r"Config\.reset: .* use Resample or Pool"),
    "sac activation": (lambda: sac.make(sac.Config(activation="cosine"), Pendulum()), "activation: 'cosine'"),
    "sac discrete": (lambda: sac.make(SAC, CartPole()), r"sac\.make\(CartPole\): action_space: .* Box"),
    "sac unbounded": (lambda: sac.make(SAC, Shaped(UNBOUNDED)), "action_space: .* finite bounds"),
    "sac integers": (lambda: sac.make(SAC, Shaped(INTEGERS)), "action_space: .* floats"),
    "sac vector reward": (lambda: sac.make(SAC, Shaped(BOX, 2)), "reward_dim: .* scalarise the rewards"),
    "bc batch_size": (lambda: bc.Config(batch_size=0), r"Config\.batch_size: must be >= 1, or None"),
    "bc widths": (lambda: bc.Config(widths=(-1,)), r"Config\.widths: must all be >= 1"),
    "bc activation": (lambda: bc.make(bc.Config(activation="cosine"), OBS, BOX), "activation: 'cosine'"),
    "bc mixed actions": (lambda: bc.make(bc.Config(), OBS, (Discrete(2), BOX)), "action_space: .* use"),
    "bc squash": (lambda: bc.make(bc.Config(squash=True), OBS, UNBOUNDED), "action_space: .* finite bounds"),
    "bc fraction 0": (lambda: bc.best_episodes(dataset(np.zeros(2)), 0.0), r"fraction: must lie in \(0, 1\]"),
    "bc fraction 2": (lambda: bc.best_episodes(dataset(np.zeros(2)), 2.0), r"fraction: must lie in \(0, 1\]"),
    "bc fraction nan": (lambda: bc.best_episodes(dataset(np.zeros(2)), float("nan")), "fraction: must lie"),
    "bc returns": (lambda: bc.best_episodes(dataset(np.zeros((2, 3))), 0.5), r"data\.reward: .* scalarise"),
    "vi horizon": (lambda: value_iteration.make(VI, Tabular(3, 2, H=5)), r"env\.H: must be None, got 5"),
    "vi vector reward": (
        lambda: value_iteration.make(VI, Tabular(3, 2, reward_dim=2)),
        r"env\.reward_dim: must be None, got 2; scalarise",
    ),
    "vi other sizes": (
        lambda: start_value_iteration(Tabular(3, 2), random_mdp(jax.random.key(0), 4, 2)),
        r"data: .* 4, 2, None given to .* 3, 2, None; use Tabular\.of\(data\)",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refuses(case):
    call, message = CASES[case]
    with pytest.raises(UsageError, match=message):
        call()


def test_accepts_what_differs_in_that_field_alone():
    """The cases above fail for the reason that they name."""
    sac.make(sac.Config(n_envs=8, length=4, capacity=32), Shaped(BOX))
    bc.make(bc.Config(batch_size=None, widths=(), squash=True), OBS, BOX)
    assert bc.best_episodes(dataset(np.zeros(2)), 1.0).mask.all()
    assert jnp.all(start_value_iteration(Tabular(4, 2), random_mdp(jax.random.key(0), 4, 2)).q == 0)
