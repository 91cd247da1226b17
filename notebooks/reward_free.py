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
# # Explore four rooms once, then plan for any reward
#
# An agent explores four rooms without being told what will be worth something there. Afterwards rewards are
# written, as many as one likes, and each is planned for without another step in the rooms. How much can such
# a plan lose? The learner states a bound, its *certificate*; an adversary, who knows the rooms, looks for the
# reward that the plan is worst for.

# %%
import os
import tempfile
from pathlib import Path

import jax

jax.config.update("jax_num_cpu_devices", 2)  # from two on, results do not depend on how many there are

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from experiments.reward_free import zero_shot_page
from jaxrl.envs.tabular.generators import four_rooms, four_rooms_layout
from jaxrl.envs.tabular.known_support import KnownSupportMixture, known_support
from jaxrl.reward_free import rewards, ucrl_rfe
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.tabular.planning import evaluate, plan
from jaxrl.run.sweep import sweep
from theory.exact import planning_error

SMOKE = "JAXRL_SMOKE" in os.environ  # set by the tests: fewer episodes
EPISODES, H = (100 if SMOKE else 3000), 12
jax.config.update("jax_enable_x64", True)  # bounds are computed in double precision

# %% [markdown]
# ## The rooms
# Twenty cells, four moves that slip with probability 0.1, twelve steps from the upper left corner. Which
# cells a move may lead to is known, with what probabilities is not: a linear mixture MDP with one feature per
# successor.

# %%
rooms = known_support(four_rooms(5))
layout, P = four_rooms_layout(5), rooms.to_tabular().P
S, A = rooms.n_states, rooms.n_actions
print("\n".join(layout))
print(f"{S} states, {A} actions, {int(rooms.dim)} features")

# %% [markdown]
# ## Explore without a reward
# UCRL-RFE follows, in each episode, a plan for its own uncertainty. Three multipliers of the radius run in
# one program. With that of the theorem, 1, no number of episodes that one can run certifies anything, so that
# smaller ones are used, and stated.

# %%
C_BETA = (0.003, 0.01, 0.1)
bound = float(np.linalg.norm(rooms.theta))
config = ucrl_rfe.Config(horizon=H, episodes=20)
members = sweep(
    lambda config: ucrl_rfe.make(config, KnownSupportMixture(S, A, rooms.width)),
    [(config, ucrl_rfe.Hyper(horizon=H, c_beta=c, bound=bound)) for c in C_BETA],
    seeds=1,
    data=rooms,
    updates=EPISODES // 20,
    log_every=5,
    float64=True,
    progress=False,
)
for c, member in zip(C_BETA, members, strict=True):
    plt.plot(member.update * 20, member.history["certificate"], label=f"c_beta = {c}")
plt.axhline(1, color="grey", linestyle=":", label="no reward loses more")
plt.xlabel("episodes")
plt.ylabel("certificate")
plt.yscale("log")
plt.legend()
plt.show()

# %% [markdown]
# ## Was the certificate covered?
# In simulation the true probabilities are known, and so is $\rho$, the smallest multiplier whose radius
# covers the run. A certificate with a smaller multiplier may be right, but then it is so by luck. The
# adversary says more: alternating linear programmes find a reward with a large planning error, and twice a
# bound on total variation holds for all rewards. Between the two lies the worst case.

# %%
member = members[0]
model = ucrl_rfe.model(member.state, rooms)
worst, upper = planning_error.lower(P, model, H, random=5), planning_error.upper(P, model, H)
rho = float(ucrl_rfe.realised_radius(config, member.state, member.hyper, rooms))
print(f"certificate {float(ucrl_rfe.certificate(member.state)):.3f} with c_beta {C_BETA[0]}, rho {rho:.3f}")
print(f"the worst reward loses between {worst.value:.3f} and {upper:.3f}")

# %% [markdown]
# ## Rewards that come later
# A thousand random ones and one for every cell at the last stage, planned in two calls. Random rewards are
# easy; the adversary's is not.

# %%
drawn = rewards.random_rewards(jax.random.key(1), 1000, H, S, A)
cells = jnp.stack([rewards.one_shot(H, H - 1, jnp.eye(S)[s][:, None] * jnp.ones(A)) for s in range(S)])


def lost(reward):
    """What policies that are planned with the model lose, under the true probabilities, per reward."""
    policies = plan(model[None], reward, H)[0]
    return (plan(P[None], reward, H)[1] - evaluate(P[None], reward, policies, H))[:, 0]


for name, errors in (("random", lost(drawn)), ("one cell", lost(cells)), ("adversary", worst.value)):
    plt.plot(np.sort(np.atleast_1d(errors)), np.linspace(0, 1, np.size(errors) + 1)[1:], ".-", label=name)
    print(f"{name}: at most {np.max(errors):.4f}")
plt.xlabel("planning error")
plt.ylabel("share of rewards")
plt.legend()
plt.show()

# %% [markdown]
# ## A reward of your own
# Be in the upper right corner at stage 6 for half of it, and in the lower right one at the end for the rest.

# %%
free = [(i, j) for i, row in enumerate(layout) for j, cell in enumerate(row) if cell != "#"]
own = np.zeros((H, S, A))
own[5, free.index((0, 4))] = own[H - 1, free.index((4, 4))] = 0.5
rewards.check_reward(jnp.asarray(own), H, S, A)
policies, under_model = plan(model[None], jnp.asarray(own)[None], H)
value, best = evaluate(P[None], own[None], policies, H)[0, 0], plan(P[None], own[None], H)[1][0, 0]
print(f"value under the model {under_model[0, 0]:.4f}, reached {value:.4f}, optimum {best:.4f}")

# %%
fig, axes = plt.subplots(1, 4, figsize=(9, 2.4))
for ax, h in zip(axes, (0, 3, 6, 9), strict=True):
    ax.imshow(np.array([[cell == "#" for cell in row] for row in layout]), cmap="Greys", vmax=2)
    for (i, j), action in zip(free, np.asarray(policies[0, h]), strict=True):
        dy, dx = ((-1, 0), (1, 0), (0, -1), (0, 1))[action]
        ax.arrow(j - 0.2 * dx, i - 0.2 * dy, 0.3 * dx, 0.3 * dy, head_width=0.2, color="#0072B2")
    ax.set(title=f"stage {h + 1}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## The adversary's reward
# Its reward by stage and cell, at the four stages with the largest amounts.

# %%
hardest = worst.reward.max(-1)
stages = np.argsort(-hardest.max(1))[:4]
fig, axes = plt.subplots(1, 4, figsize=(9, 2.4))
for ax, h in zip(axes, np.sort(stages), strict=True):
    image = np.full((5, 5), np.nan)
    for (i, j), paid in zip(free, hardest[h], strict=True):
        image[i, j] = paid
    ax.imshow(image, cmap="viridis", vmin=0, vmax=hardest.max())
    ax.set(title=f"stage {h + 1}", xticks=[], yticks=[])
plt.show()

# %% [markdown]
# ## The same as a page
# One file without network, on which rewards are typed or clicked and planned for at once.

# %%
form = form_of(rooms)
left = np.take_along_axis(np.asarray(model).reshape(S * A, S), np.asarray(form.successors), 1) * form.mask
page = zero_shot_page.render(
    zero_shot_page.Rooms(
        "Four rooms, explored without reward",
        layout,
        H,
        form.successors,
        np.asarray(rooms.probabilities()).reshape(left.shape),
        [
            zero_shot_page.Model(
                "UCRL-RFE",
                left,
                upper,
                float(ucrl_rfe.certificate(member.state)),
                C_BETA[0],
                rho,
                worst.reward,
            )
        ],
        f"{EPISODES} episodes of {H} steps.",
    )
)
path = Path(tempfile.mkdtemp()) / "rooms.html"
path.write_text(page)
print(f"{path.name}: {len(page) / 1000:.0f} kB")
