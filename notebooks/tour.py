# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A tour: environment, rollout, PPO, exact oracle
#
# A maze is a finite MDP, so everything that learning estimates can also be computed. We look at one rollout,
# train a few seeds of PPO as one program, and hold the result against the optimum.

# %%
import os

import jax

jax.config.update("jax_num_cpu_devices", 2)  # from two on, results do not depend on how many there are

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from jaxrl.baselines import ppo
from jaxrl.core.types import Policy
from jaxrl.envs.tabular.generators import gridworld
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.rollout.evaluate import evaluate
from jaxrl.rollout.unroll import start, unroll
from jaxrl.run.sweep import sweep
from theory.exact import optimal_control, policy_evaluation

SMOKE = "JAXRL_SMOKE" in os.environ  # set by the tests: fewer updates

# %% [markdown]
# ## The environment
# Tables are the environment's parameters; `Tabular` simulates them. A quarter of the moves slip to a random
# side.

# %%
MAZE = ["S..#...", ".#.#.#.", ".#...#.", ".#.#.#.", "...#..G"]
mdp = gridworld(MAZE, slip=0.25, gamma=0.95)
env = Tabular.of(mdp, one_hot=True)
print(env.observation_space.shape, env.action_space, f"{mdp.n_states} states")

# %% [markdown]
# ## A rollout
# A policy is a function `(key, obs, memory) -> (action, aux, memory)`; `unroll` steps a batch with it.
# A transition holds its true successor and says whether the episode terminated or was cut by the limit.

# %%
uniform = Policy(lambda key, obs, memory: (env.action_space.sample(key), (), memory))
vec = start(env, uniform, jax.random.key(0), mdp, n=16)
vec, transitions, stats = unroll(env, uniform, vec, jax.random.key(1), mdp, length=200, limit=100)
print("observations", transitions.obs.shape, "rewards", transitions.reward.shape)
print(f"{int(stats.count)} episodes ended, {int(stats.truncated)} of them at the limit")

# %% [markdown]
# ## PPO, several seeds at once

# %%
config = ppo.Config(n_envs=16, length=64, widths=(32,))
hyper = ppo.Hyper(lr=3e-3, gamma=0.95)
members = sweep(
    lambda static: ppo.make(static, env),
    [(config, hyper)],
    seeds=2 if SMOKE else 8,
    data=mdp,
    updates=15 if SMOKE else 60,
    progress=False,
)

# %% [markdown]
# ## The oracle
# The value of each greedy policy is a linear solve, and the optimum is known: no confidence interval is
# needed. The sampled estimate beside it is only there to show that both speak about the same thing.

# %%
best = optimal_control.solve(mdp)
algorithm = ppo.make(config, env)
print(f"optimum {best.j:.4f}")
for member in members:
    policy = algorithm.act(member.state, member.hyper, greedy=True)
    choose = jax.jit(lambda obs, policy=policy: policy.act(jax.random.key(0), obs, ())[0])
    actions = [int(choose(obs)) for obs in jnp.eye(mdp.n_states)]
    exact = policy_evaluation.evaluate_policy(mdp, np.array(actions))
    sampled = evaluate(env, policy, jax.random.key(2), mdp, episodes=512, limit=300, gamma=0.95).discounted
    error = float(sampled.std()) / np.sqrt(len(sampled))
    assert abs(float(sampled.mean()) - exact.j) < 5 * error + 1e-3
    print(f"seed {member.seed}: exact {exact.j:.4f}, sampled {sampled.mean():.4f} +- {error:.4f}")

# %%
cells = [(r, c) for r, row in enumerate(MAZE) for c, x in enumerate(row) if x != "#"]


def as_map(values):
    """Values of states on the map, walls blank."""
    picture = np.full((len(MAZE), len(MAZE[0])), np.nan)
    picture[tuple(np.transpose(cells))] = values
    return picture


figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for axis, title, values in zip(axes, ("optimum", "last seed of PPO"), (best.v, exact.v), strict=True):
    image = axis.imshow(as_map(values), vmin=0, vmax=1)
    axis.set(title=title, xticks=[], yticks=[])
figure.colorbar(image, ax=axes, label="discounted return from a cell")
plt.show()

# %% [markdown]
# ## An experiment in three lines
# `api.run` makes a run folder with checkpoints, a result and figures. A run shows itself: its table of scores
# and its figures. If the cell is interrupted, `api.resume(path)` continues the run from its last checkpoint.

# %%
import tempfile

from jaxrl.cli import api

run = api.run("baselines/ppo_cartpole", "smoke", out=tempfile.mkdtemp())
run

# %% [markdown]
# What it has logged is there as arrays, and as a pandas frame where pandas is installed.

# %%
print({name: values.shape for name, values in run.curves().items()})
run.frame().tail()
