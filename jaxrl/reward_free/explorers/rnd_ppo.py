"""PPO with the error of predicting a random network as a second reward (Burda et al. 2018, 1810.12894).

    z        = clip((s - mean(s)) / std(s), +-5)              running moments per feature
    e(s)     = mean_j (f_j(z) - g_j(z))^2                     g random and fixed, f trained on mean e
    r^I_t    = e(s_{t+1}) / std(R^I),   R^I_t = gamma_I R^I_{t-1} + e(s_t)         running, never reset
    A^I_t    = delta^I_t + gamma_I lambda A^I_{t+1},   delta^I_t = r^I_t + gamma_I V^I(s_{t+1}) - V^I(s_t)
    A_t      = c_E A^E_t + c_I A^I_t                          A^E by `gae`, which ends with the episode

Intrinsic returns do not end with an episode: s_{t+1} is then the first state of the next one. The critic has
two outputs. f makes one pass over each window, after the update of PPO; moments and the standard deviation
that a window is paid with are those of earlier windows.

Legend: `T` steps, `N` environments, `k` observation features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxrl.baselines import ppo
from jaxrl.core.descent import descend
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import NonNegative, Share, Size
from jaxrl.core.prng import permutation
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree, Step, struct
from jaxrl.envs.base import Env
from jaxrl.envs.wrappers.wrapper import Wrapper
from jaxrl.nets import net
from jaxrl.reward_free.explorers.rnd import CLIP, prediction_errors
from jaxrl.rollout.normalise import ReturnScale, RunningMoments
from jaxrl.rollout.returns import gae


@dataclass(frozen=True)
class Config(ppo.Config):
    """Static choices of RND with PPO: those of PPO, and the sizes of the two networks."""

    module_widths: tuple[Size, ...] = (64, 64)
    """Hidden units per layer of predictor and target each. Paper: convolutions, then (512, 512)."""
    outputs: Size = 64
    """Number of outputs of predictor and target. Paper: 512."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, only in (("normalise_obs", False), ("scale_rewards", False), ("params_axis", None)):
            if getattr(self, name) is not only:
                raise UsageError(
                    f"Config.{name}: must be {only}, because RND has running statistics of its own and one"
                    f" predictor for all environments, got {getattr(self, name)}"
                )


@struct.dataclass
class Hyper(ppo.Hyper):
    """Hyper-parameters of RND with PPO: those of PPO, of which `w` has to be None, and the intrinsic ones."""

    extrinsic: NonNegative = 2.0
    """Weight c_E of the advantage of the environment's reward, >= 0. Paper: 2."""
    intrinsic: NonNegative = 1.0
    """Weight c_I of the advantage of the prediction error, >= 0. Paper: 1."""
    gamma_intrinsic: Share = 0.99
    """Discount gamma_I of intrinsic rewards per step, in [0, 1]. Paper: 0.99, and 0.999 for `gamma`."""
    lr_module: NonNegative = 1e-4
    """Learning rate of the predictor, >= 0. Paper: 1e-4."""


class Module(NamedTuple):
    """State of RND, an entry of `State.params`.

    predictor, target: parameters of f and g; moments: of the features; scale: of the intrinsic return.
    """

    predictor: PyTree
    target: PyTree
    opt_state: PyTree
    moments: RunningMoments
    scale: ReturnScale


class Paid(NamedTuple):
    """Parameters of an environment together with what computes its second reward."""

    env: PyTree
    module: Module


class Traces(NamedTuple):
    """What the advantages read in place of lambda alone."""

    lambda_: Array | float
    gamma_intrinsic: Array | float


@dataclass(frozen=True)
class WithBonus(Wrapper):
    """Rewards float[2], that of `env` and `bonus(module, successor)`; the parameters are `Paid`."""

    bonus: Callable[[Module, PyTree], Array]

    @property
    def reward_dim(self) -> int:
        """Extrinsic and intrinsic."""
        return 2

    def inner_params(self, params: Paid) -> PyTree:
        """Without the module."""
        return params.env

    def advance(self, state: PyTree, inner: PyTree, out: Step, params: Paid) -> tuple[PyTree, Step]:
        """The reward with its second component."""
        return inner, out._replace(reward=jnp.stack([out.reward, self.bonus(params.module, out.obs)]))


class Distillation(NamedTuple):
    """What RND adds to PPO, see `distillation`.

    init: key -> module. bonus: (module, observation) -> float[], the second reward. distil: (module, features
    float[T, N, k], hyper-parameters, key) -> (module, float[]), one pass over a window and the mean error
    before it.
    """

    init: Callable[[Key], Module]
    bonus: Callable[[Module, PyTree], Array]
    distil: Callable[[Module, Array, Hyper, Key], tuple[Module, Array]]


def distillation(config: Config, k: int, encode: Callable[[PyTree], Array]) -> Distillation:
    """The networks of RND on `k` features, which `encode` makes of an observation, and how they learn."""
    network = net.mlp((k, *config.module_widths, config.outputs), "relu")
    adam = optax.scale_by_adam()

    def errors(predictor: PyTree, module: Module, x: Array) -> Array:
        z = module.moments.normalise(x, CLIP)
        return prediction_errors(network.apply(predictor, z), network.apply(module.target, z))

    def bonus(module: Module, obs: PyTree) -> Array:
        return module.scale.scale(errors(module.predictor, module, encode(obs)))

    def init(key: Key) -> Module:
        k_predictor, k_target = jax.random.split(key)
        predictor = network.init(k_predictor)
        nothing = RunningMoments.zeros(jax.ShapeDtypeStruct((k,), jnp.float32))
        scale = ReturnScale.zeros(jax.ShapeDtypeStruct((), jnp.float32), config.n_envs)
        return Module(predictor, network.init(k_target), adam.init(predictor), nothing, scale)

    def distil(module: Module, x: Array, hyper: Hyper, key: Key) -> tuple[Module, Array]:
        seen = errors(module.predictor, module, x)
        rows = x.reshape(-1, x.shape[-1])

        def minibatch(carry: tuple[PyTree, PyTree], index: Array) -> tuple[tuple[PyTree, PyTree], None]:
            predictor, opt_state = carry
            grad = jax.grad(lambda p: errors(p, module, rows[index]).mean())(predictor)
            return descend(adam, grad, opt_state, predictor, hyper.lr_module), None

        order = permutation(key, len(rows)).reshape(config.minibatches, -1)
        (predictor, opt_state), _ = jax.lax.scan(minibatch, (module.predictor, module.opt_state), order)
        scale = module.scale.update(seen, jnp.zeros(seen.shape, bool), hyper.gamma_intrinsic)
        return Module(predictor, module.target, opt_state, module.moments.update(x), scale), seen.mean()

    return Distillation(init, bonus, distil)


def make(config: Config, env: Env, *, optimiser: optax.GradientTransformation | None = None) -> Algorithm:
    """PPO on the reward of `env` and on that of RND; `data` of the algorithm is the environment's parameters.

    optimiser: optax transformation of PPO's clipped gradient, before the learning rate; default Adam. The
        predictor has an Adam of its own.

    Metrics of episodes are float[2], extrinsic and intrinsic.

    Raises `UsageError` as `ppo.make` does, and for vector rewards; from `init`, where `Hyper.w` is given.
    """
    if env.reward_dim is not None:
        raise UsageError(f"rnd_ppo.make({env.name}): reward_dim must be None; scalarise the rewards first")
    rnd = distillation(config, *net.features(env.observation_space))

    def learn(
        parts: ppo.Parts, state: ppo.State, samples: ppo.Samples, hyper: Any, key: Key
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        k_ppo, k_module = jax.random.split(key)
        agent = {name: value for name, value in state.params.items() if name != "module"}
        agent, opt_state, metrics = ppo.proximal_epochs(
            parts, state.replace(params=agent), samples, hyper, k_ppo
        )
        module, error = rnd.distil(state.params["module"], samples.x, hyper, k_module)
        return agent | {"module": module}, opt_state, metrics | {"prediction_error": error}

    inner = ppo.make(
        config, WithBonus(env, rnd.bonus), advantages=advantages, optimiser=optimiser, learn=learn
    )

    def init(key: Key, hyper: Hyper, data: PyTree) -> ppo.State:
        if hyper.w is not None:
            raise UsageError("Hyper.w: must be None; weigh the two rewards by extrinsic and intrinsic")
        k_ppo, k_module = jax.random.split(key)
        module = rnd.init(k_module)
        state = inner.init(k_ppo, weighted(hyper), Paid(data, module))
        return state.replace(params=state.params | {"module": module})

    def step(state: ppo.State, hyper: Hyper, data: PyTree) -> tuple[ppo.State, dict[str, Any]]:
        return inner.step(state, weighted(hyper), Paid(data, state.params["module"]))

    def act(state: ppo.State, hyper: Hyper, greedy: bool) -> Policy:
        return inner.act(state, hyper, greedy)

    origin = Origin(__name__, config, env.observation_space, env.action_space, env)
    return Algorithm(init, step, act, origin=origin)


def weighted(hyper: Hyper) -> Any:
    """What PPO is given: the weights of the two advantages, and the intrinsic discount beside lambda."""
    w = jnp.stack([jnp.asarray(hyper.extrinsic, jnp.float32), jnp.asarray(hyper.intrinsic, jnp.float32)])
    return hyper.replace(w=w, lambda_=Traces(hyper.lambda_, hyper.gamma_intrinsic))


def advantages(
    reward: Array, value: Array, next_value: Array, discount: Array, cut: Array, traces: Traces
) -> Array:
    """float[T, N, 2], by rewards and values [T, N, 2] and discount, cut [T, N] as `gae` takes them.

    The intrinsic component neither discounts nor cuts at the end of an episode: the value of the next row
    follows each row but the window's last, which its own successor follows.

    Equation: burda2019rnd [non-episodic intrinsic advantage]
    """
    extrinsic = gae(reward[..., 0], value[..., 0], next_value[..., 0], discount, cut, traces.lambda_)
    after = jnp.concatenate([value[1:, :, 1], next_value[-1:, :, 1]])
    gamma = jnp.full_like(discount, 1) * traces.gamma_intrinsic
    intrinsic = gae(reward[..., 1], value[..., 1], after, gamma, jnp.zeros_like(cut), traces.lambda_)
    return jnp.stack([extrinsic, intrinsic], -1)
