"""rejax and gymnax at our settings, served round by round; runs in the environment that `peers setup` builds.

    python -m benchmarks.worker_rejax ppo --envs 64 --length 128 --updates 20
    python -m benchmarks.worker_rejax random --envs 256 --length 1000

Only training is on the clock: evaluation is replaced by nothing, and a round is exactly `updates` updates.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from typing import Any

import gymnax
import jax
import jax.numpy as jnp
from rejax import PPO

from benchmarks.measure import compile_ahead
from benchmarks.workers import serve


def ppo(envs: int, length: int, updates: int) -> tuple[Any, Any]:
    """`(step, state)` of rejax's own `train`, 64-64 tanh, 4 epochs, 4 minibatches."""
    steps = envs * length * updates
    algorithm = PPO.create(
        env="CartPole-v1",
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": (64, 64)},
        num_envs=envs,
        num_steps=length,
        num_epochs=4,
        num_minibatches=4,
        learning_rate=2.5e-4,
        max_grad_norm=0.5,
        gamma=0.99,
        gae_lambda=0.95,
        clip_eps=0.2,
        vf_coef=0.5,
        ent_coef=0.01,
        total_timesteps=steps,
        eval_freq=steps,
        skip_initial_evaluation=True,
    ).replace(eval_callback=lambda algorithm, state, key: ())
    state = jax.jit(algorithm.init_state)(jax.random.key(0))
    run, _ = compile_ahead(lambda s: algorithm.train(train_state=s)[0], state, donate_argnums=0)
    return run, state


def random(envs: int, length: int) -> tuple[Any, Any]:
    """`(step, state)` of gymnax's CartPole under uniform actions, with all transitions written out."""
    env, params = gymnax.make("CartPole-v1")
    reset = jax.jit(jax.vmap(env.reset, (0, None)))
    obs, env_state = reset(jax.random.split(jax.random.key(0), envs), params)

    def roll(carry: Any) -> Any:
        def body(carry: Any, _: None) -> Any:
            obs, env_state, key = carry
            key, k_act, k_env = jax.random.split(key, 3)
            action = jax.vmap(env.action_space(params).sample)(jax.random.split(k_act, envs))
            keys = jax.random.split(k_env, envs)
            out = jax.vmap(env.step, (0, 0, 0, None))(keys, env_state, action, params)
            next_obs, env_state, reward, done, _ = out
            return (next_obs, env_state, key), (obs, action, reward, next_obs, done)

        return jax.lax.scan(body, carry, None, length=length)

    env_state = jax.tree.map(jnp.asarray, env_state)
    carry = (obs, env_state, jax.random.key(1))
    run, _ = compile_ahead(roll, carry)
    return lambda state: run(state[0]), (carry, None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("ppo", "random"))
    parser.add_argument("--envs", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--updates", type=int, default=1)
    args = parser.parse_args()
    if args.what == "ppo":
        step, state = ppo(args.envs, args.length, args.updates)
    else:
        step, state = random(args.envs, args.length)
    serve(step, state, f"rejax {version('rejax')}, gymnax {version('gymnax')}, jax {version('jax')}")


if __name__ == "__main__":
    main()
