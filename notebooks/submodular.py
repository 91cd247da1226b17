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
# # Coverage on a map: from greedy to SubPO
#
# A robot walks over a map for a while; what it has seen once is worth nothing the second time. The return is
# then a *set function* of the cells visited, and no reward per cell can express it. This notebook shows
# such a map, where a greedy planner stops, what a search finds, and what a policy gradient learns.

# %%
import os

import jax

jax.config.update("jax_num_cpu_devices", 2)  # from two on, results do not depend on how many there are

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from jaxrl.core.types import Policy
from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.rollout.unroll import start, unroll
from jaxrl.run.sweep import sweep
from jaxrl.submodular import subpo
from jaxrl.submodular.credit import SUMS
from jaxrl.submodular.exact import successors
from jaxrl.submodular.search import beam_search, greedy_rollout

SMOKE = "JAXRL_SMOKE" in os.environ  # set by the tests: fewer updates

# %% [markdown]
# ## The map
# Ten by ten cells. A plain around the start, a hill in the far corner, a poor valley in between. At each
# cell the robot sees a 2 x 2 block. It visits 20 states, the start included.

# %%
SIDE, STATES, START = 10, 20, 22
row, col = np.divmod(np.arange(SIDE**2), SIDE)
hill = 4 * np.exp(-((row - 7.5) ** 2 + (col - 7.5) ** 2) / (2 * 1.4**2))
weights = np.round(0.05 + 0.6 * (col < 4) + hill, 2)


def problem(**shown):
    return coverage_grid(tuple(weights), STATES, rows=SIDE, cols=SIDE, start=START, **shown)


env = problem()
params = env.default_params()
print(env.observation_space, env.action_space)

# %% [markdown]
# ## A set function as a reward
# The environment pays the *marginal gain* of each new state, so rewards add up to F(path) - F(start). Here is
# a random walk.

# %%
uniform = Policy(lambda key, obs, memory: (env.action_space.sample(key), (), memory))
vec = start(env, uniform, jax.random.key(0), params, n=200)
_, walk, stats = unroll(env, uniform, vec, jax.random.key(1), params, length=STATES - 1, keep=("F",))
first = float(walk.info["F"][0, 0] - walk.reward[0, 0])
np.testing.assert_allclose(walk.reward.sum(0) + first, walk.info["F"][-1], rtol=1e-5)
print(f"F of the start {first:.2f}; random walks {float(walk.info['F'][-1].mean()):.2f} on average")


def show(paths, title_value):
    """Maps with paths, each a dictionary entry title -> cells [E, STATES]."""
    _, axes = plt.subplots(1, len(paths), figsize=(2.9 * len(paths), 3.1), layout="constrained")
    for axis, (title, cells) in zip(np.atleast_1d(axes), paths.items(), strict=True):
        axis.imshow(weights.reshape(SIDE, SIDE), cmap="Greys", alpha=0.6)
        for e, path in enumerate(np.atleast_2d(cells)):
            shift = 0.05 * (e - 2)
            axis.plot(np.asarray(path) % SIDE + shift, np.asarray(path) // SIDE + shift, linewidth=1.2)
        axis.plot(START % SIDE, START // SIDE, "o", color="black", markersize=5)
        axis.set(xticks=[], yticks=[], title=f"{title}\n{title_value[title]:.1f}")
    plt.show()


# %% [markdown]
# ## Greedy
# Each step takes the largest gain. The path covers the plain around the start and never crosses the valley.
# The planners take the moves as tables, which the environment gives.

# %%
P = np.asarray(env.env.env.to_tabular(params.env.env).P)
successor, probability = successors(P)
planned = greedy_rollout(env.F, params.F, successor, probability, jnp.int32(START), STATES, jax.random.key(0))
greedy = planned.place.tolist()


def evaluate(path):
    """F by its definition: the weight of the union of 2 x 2 blocks."""
    seen = {(r + a, c + b) for r, c in map(lambda v: divmod(v, SIDE), path) for a in (0, 1) for b in (0, 1)}
    return sum(weights[r * SIDE + c] for r, c in seen if r < SIDE and c < SIDE)


np.testing.assert_allclose(planned.value, evaluate(greedy), rtol=1e-5)

# %% [markdown]
# ## A search that knows the map
# Beam search keeps the best few hundred partial paths, with what they have seen.

# %%
ends = P.argmax(-1)  # int[V, A], where each action leads
search, found = beam_search(env.F, params.F, ends, START, STATES, width=300)
np.testing.assert_allclose(found, evaluate(search), rtol=1e-5)
assert evaluate(search) > 1.5 * evaluate(greedy)
print(f"greedy {evaluate(greedy):.2f}, search {evaluate(search):.2f}")

# %% [markdown]
# ## SubPO
# The policy gradient of E F(path) multiplies the score of an action by the gains *to come*; that is `to_go`.
# The released code multiplies it by the value so far, `prefix`, which is on average the same as the action's
# own gain, `marginal`: greedy again. Both are trained in one program, whose members differ in their credit.

# %%
config = subpo.Config(n_envs=200, length=STATES - 1, credit="mixture", initial="orthogonal")
credits = ("to_go", "marginal")
hypers = [subpo.Hyper(lr=1e-2, mixture=tuple(float(c == name) for name in SUMS)) for c in credits]
members = sweep(
    lambda config: subpo.make(config, env),
    [(config, hyper) for hyper in hypers],
    seeds=2,
    data=params,
    updates=3 if SMOKE else 150,
    log_every=1,
    progress=False,
)

# %% [markdown]
# ModPO is the same learner on a reward per cell, F({cell}): it walks to the best cell and stays.

# %%
additive = problem(modular=True)
modpo = sweep(
    lambda config: subpo.make(config, additive),
    [(config, hypers[0])],
    seeds=2,
    data=params,
    updates=3 if SMOKE else 150,
    log_every=1,
    progress=False,
)

# %%
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, group in (("to_go", members[:2]), ("marginal", members[2:]), ("ModPO", modpo)):
    for i, member in enumerate(group):
        style = {
            "color": {"to_go": "C0", "marginal": "C1", "ModPO": "C2"}[name],
            "label": None if i else name,
        }
        axis.plot(member.update, member.history["train/F"], **style)
for value, name in ((evaluate(greedy), "greedy"), (evaluate(search), "search")):
    axis.axhline(value, color="grey", linewidth=0.8, linestyle=":")
    axis.annotate(name, (1, value), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="grey")
axis.set(xlabel="update", ylabel="F of sampled paths")
axis.legend()
plt.show()


# %% [markdown]
# ## The paths
# Five samples of each trained policy.


# %%
def sampled(environment, member):
    """Cells [5, STATES] of sampled episodes."""
    policy = subpo.make(config, environment).act(member.state, member.hyper, greedy=False)
    vec = start(environment, policy, jax.random.key(2), params, n=5)
    _, batch, _ = unroll(environment, policy, vec, jax.random.key(3), params, length=STATES - 1)
    last = batch.obs["obs"][-1], batch.action[-1]
    return np.concatenate([np.asarray(batch.obs["obs"]).T, ends[last][:, None]], axis=1)


paths = {
    "greedy": greedy,
    "ModPO": sampled(additive, modpo[0]),
    "marginal credit": sampled(env, members[2]),
    "SubPO, to_go": sampled(env, members[0]),
    "search": search,
}
worth = {name: np.mean([evaluate(p) for p in np.atleast_2d(cells).tolist()]) for name, cells in paths.items()}
show(paths, worth)

# %%
for name, value in worth.items():
    print(f"{name:16} {value:6.2f}   {value / worth['search']:.0%} of the search")
# nothing sampled is better than the search, and values are those that the learners are told
for name, group in (("ModPO", modpo), ("marginal credit", members[2:]), ("SubPO", members[:2])):
    best = max(float(member.history["train/F_max"].max()) for member in group)
    assert best <= evaluate(search) + 1e-4, name
if not SMOKE:
    assert worth["SubPO, to_go"] > 1.2 * worth["marginal credit"]
