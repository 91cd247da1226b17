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
# # From one preference to a front: C-MORL on Deep Sea Treasure
#
# A submarine looks for treasure, and every step costs time. What is worth more is not known yet, so that the
# answer is not one policy but a *front* of trade-offs. This notebook shows the exact front, what weighted
# sums find of it, and what constrained runs add.

# %%
import os
import tempfile
from pathlib import Path

import jax

jax.config.update("jax_num_cpu_devices", 2)  # from two on, results do not depend on how many there are

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.morl import front_page
from jaxrl.baselines import ppo
from jaxrl.core.tree import tree_take
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.morl import archive as archives
from jaxrl.morl import cmorl, scalarised
from jaxrl.morl.hypervolume import hypervolume
from jaxrl.morl.learners import EvaluationOptions
from jaxrl.morl.metrics import hull_gap, hull_hypervolume, weight_lattice
from jaxrl.morl.mixtures import best_mixture
from jaxrl.morl.preferences import preferences
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train
from theory.exact import lp

SMOKE = "JAXRL_SMOKE" in os.environ  # set by the tests: fewer updates
INITIAL, ROUNDS = (4, 1) if SMOKE else (120, 3)

# %% [markdown]
# ## The problem and its exact front
# Ten treasures, the larger the farther. The values are *concave*: no weighted sum of treasure and time
# prefers one in the middle.

# %%
GAMMA, Z = 0.99, np.array([0.0, -50.0])
sea = DeepSeaTreasure("concave")
front = sea.front(GAMMA)
mdp = sea.to_tabular(sea.default_params()).replace(gamma=jnp.float32(GAMMA))
volume, whole = hypervolume(front, Z).value, hull_hypervolume(front, Z)
print(f"deterministic policies dominate {volume:.1f}, mixtures of them {whole:.1f}")
plt.imshow(sea.render(sea.reset(jax.random.key(0), sea.default_params())[0], sea.default_params()))
plt.axis("off")
plt.show()

# %% [markdown]
# ## Stage 1: six preferences at once
# One learner per preference, each PPO with a critic of two values, all in one program. Every policy on the
# way is evaluated exactly and offered to an archive, which keeps what no other dominates.

# %%
env = Tabular.of(mdp)
learner = ppo.Config(n_envs=32, length=64, epochs=4, minibatches=4, widths=(), clip_value=False)
exact = EvaluationOptions("exact")
numbers = ppo.Hyper(lr=0.02, gamma=GAMMA, entropy=2.0, updates_total=float(INITIAL))
first = train(
    scalarised.make(scalarised.Config(learner, 256, exact), env),
    member_keys(0, 1),
    stack_hypers(
        [scalarised.Hyper(preferences(weight_lattice(2, 0.2), 2), Z.astype(np.float32), numbers, GAMMA)], 1
    ),
    mdp,
    updates=INITIAL,
    progress=False,
)


def returns(state):
    return archives.members(tree_take(state.archive, 0)).returns


print(f"{len(returns(first.state))} members dominate {hypervolume(returns(first.state), Z).value:.1f}")

# %% [markdown]
# ## Stage 2: extend what is sparse
# From each of four members in sparse regions, and for each objective, a run increases that objective while
# the other keeps nine tenths of what it had above the reference point. The constraint is a logarithmic
# barrier on an estimate of the return.

# %%
second = train(
    cmorl.make(cmorl.Config(learner, exact, selected=4, rounds=ROUNDS, updates=2 if SMOKE else 20), env),
    member_keys(1, 1),
    stack_hypers([cmorl.Hyper(Z.astype(np.float32), numbers.replace(entropy=0.0), GAMMA)], 1),
    cmorl.Data(jax.tree.map(lambda x: x[None], mdp), first.state.archive),
    shared_data=False,
    updates=ROUNDS,
    log_every=1,
    progress=False,
)
found = returns(second.state)
share = second.history["feasible"][:, 0].mean()
print(f"{len(found)} members dominate {hypervolume(found, Z).value:.1f}")
print(f"{hull_gap(found, front, Z):.1%} of what mixtures dominate is missing")
print(f"{share:.0%} of the iterates keep their constraint")

# %%
plt.plot(*front.T, "x", color="grey", label="deterministic policies")
plt.plot(*returns(first.state).T, ".", label="six preferences")
plt.plot(*found.T, ".", markersize=4, label="after the extension")
plt.xlabel("treasure")
plt.ylabel("time")
plt.legend()
plt.show()

# %% [markdown]
# ## A preference that comes later
# It is looked up, not trained: the member with the largest w . G.

# %%
for w in ([0.2, 0.8], [0.55, 0.45], [0.9, 0.1]):
    chosen = found[np.argmax(found @ np.asarray(w))]
    print(f"w = {w}: treasure {chosen[0]:.1f}, time {chosen[1]:.1f}")

# %% [markdown]
# ## Bounds in place of weights
# "The most treasure in at most ten discounted steps": a mixture of at most two policies, drawn anew for each
# episode. The linear programme over all stochastic policies says how much is lost.

# %%
mixture = best_mixture(found, 0, [-np.inf, -10.0])
bound = lp.primal(mdp, [1.0, 0.0], at_least=[-np.inf, -10.0]).value
print(f"policies {mixture.policies.tolist()} return {np.round(mixture.returns, 2).tolist()}")
print(f"no policy exceeds a treasure of {bound:.2f}")

# %% [markdown]
# ## The front as a page
# One file without network: sliders for the preference, fields for bounds, arrows of the extensions.

# %%
runs = {n: second.history[f"extension/{n}"][:, 0].reshape(-1, 2) for n in ("start", "end", "threshold")}
extended = np.tile(np.eye(2), (len(runs["start"]) // 2, 1)) > 0
page = front_page.render(
    front_page.Front(
        title="C-MORL on concave Deep Sea Treasure",
        objectives=("treasure", "time"),
        returns=found,
        reference=Z,
        exact=front,
        starts=runs["start"],
        ends=runs["end"],
        feasible=((runs["end"] >= runs["threshold"] - 1e-3) | extended).all(-1),
    )
)
path = Path(tempfile.mkdtemp()) / "front.html"
path.write_text(page)
print(f"{path.name}: {len(page) / 1000:.0f} kB")
