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
# # An update rule that knows how much time is left
#
# A learning rule is an objective with parameters, and these can be learned from whole lifetimes of
# agents. This notebook learns the smallest such rule, a step size, once blind and once told the horizon;
# looks at what two drifts of PPO do; and puts one into PPO.

# %%
import os

import jax

jax.config.update("jax_num_cpu_devices", 2)  # from two on, results do not depend on how many there are

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from jaxrl.baselines import ppo
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.meta import bandit, drift, evolution, zoo
from jaxrl.meta.certificates import ADVANTAGES, RATIOS, certificate, check_drift, grid
from jaxrl.meta.objective import MASKS
from jaxrl.run.sweep import sweep

SMOKE = "JAXRL_SMOKE" in os.environ  # set by the tests: fewer updates
GENERATIONS, UPDATES = (4, 2) if SMOKE else (80, 20)

# %% [markdown]
# ## A step size for bandits
# Five arms, one pull per update, N pulls in all, and only the final policy counts. The rule is log step =
# w . (1, n/N, ln N). Without its time inputs it is one constant step. Evolution compares pairs of
# perturbed weights on the same bandits; both arms below share everything but the mask of the time inputs.

# %%
sizes, rule = bandit.Config(horizons=(4, 16, 64), tasks=100), bandit.step_size()
hyper = evolution.Hyper(lr=0.06, sigma=0.3, beta2=0.99)
blind, aware = sweep(
    lambda config: evolution.make(config, bandit.problem(sizes, rule)),
    [(evolution.Config(pairs=8), hyper.replace(mask=MASKS[name])) for name in ("none", "paper")],
    seeds=1,
    data=bandit.default_params(),
    updates=GENERATIONS,
    progress=False,
)
weights = {
    name: jax.device_get(member.state.best_params["w"])
    for name, member in (("blind", blind), ("aware", aware))
}
for name, w in weights.items():
    print(name, np.round(w, 2))

# %% [markdown]
# The step grows towards the end, and is smaller for long horizons. On bandits that nothing has seen
# before:

# %%
fresh = bandit.Config(horizons=sizes.horizons, tasks=4000)


@jax.jit
def returns(w, mask):
    """float[N], mean return by horizon, on the same bandits for every rule."""
    key, params = jax.random.key(1), bandit.default_params()
    return bandit.by_horizon(fresh, rule, {"w": w}, key, mask, params).mean(axis=1)


progress = np.linspace(0, 1, 50)
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
for name, mask in (("blind", "none"), ("aware", "paper")):
    w, live = weights[name], np.array(MASKS[mask])
    left.plot(sizes.horizons, returns(jnp.array(w), jnp.array(live)), "o-", label=name)
    for N in sizes.horizons:
        log_step = w[0] + live[0] * w[1] * progress + live[1] * w[2] * np.log(N)
        right.plot(progress, np.exp(log_step), label=f"{name}, N = {N}")
left.set(xlabel="horizon N", ylabel="return", xscale="log")
right.set(xlabel="n/N", ylabel="step size")
left.legend()
right.legend()
plt.show()

# %% [markdown]
# ## A drift inside PPO
# PPO maximises r A - f(r, A), where f takes back what a ratio r gains outside of its clip. Other drifts f
# make other algorithms. DPO is a closed form that was distilled from a learned drift: it pushes back
# smoothly, and it treats actions that were better than expected differently from those that were worse.

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3))
for ax, name in zip(axes, ("ppo", "dpo"), strict=True):
    entry = zoo.load(name)
    slope = grid(entry.objective, entry.phi).slope[0] / np.abs(np.where(ADVANTAGES == 0, np.nan, ADVANTAGES))
    image = ax.pcolormesh(ADVANTAGES, RATIOS, slope, cmap="RdBu_r", vmin=-1.5, vmax=1.5)
    ax.set(title=entry.objective.name, xlabel="A", ylabel="r", yscale="log")
    fig.colorbar(image, ax=ax, label="d/dr (rA - f) / |A|")
plt.show()
for name in ("ppo", "dpo"):
    facts = certificate(zoo.load(name).objective, zoo.load(name).phi)
    print(f"{name}: f is 0 up to |r - 1| = {facts.dead_zone:.2f}, worst slope {facts.rollback:.2f} of |A|")

# %% [markdown]
# Any function that vanishes together with its slope at r = 1 and is never negative can stand there. A
# network of features that vanish at r = 1, without biases and with a small offset, always does;
# `check_drift` says of a drift of your own which condition fails, where and by how much.

# %%
network = drift.ta_lpo(hidden=16)
phi = network.init(jax.random.key(0))
phi["w2"] = jax.random.normal(jax.random.key(1), phi["w2"].shape)
found = check_drift(network, phi)
print(f"f is 0 for certain up to |r - 1| = {found.certified:.2g}, whatever the advantage and the progress")

# %% [markdown]
# ## PPO with it
# On an environment of your own the surrogate goes where the clip was.

# %%
env = CartPole()
config = ppo.Config(n_envs=8, length=64, epochs=4, minibatches=4, widths=(32, 32))
algorithm = ppo.make(config, env, surrogate=zoo.load("dpo").surrogate)
(member,) = sweep(
    lambda static: algorithm,
    [(config, ppo.Hyper(lr=3e-3, updates_total=UPDATES))],
    seeds=1,
    data=env.default_params(),
    updates=UPDATES,
    progress=False,
)
plt.plot(member.update, member.history["train/return"])
plt.xlabel("update")
plt.ylabel("return")
plt.show()

# %% [markdown]
# `jaxrl run meta/horizon_bandit quick` is the first part with meta-seeds and intervals, and `jaxrl run
# meta/drift_objectives quick` learns drifts from no clip at all.
