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
# # Dual RL on a grid: from a linear programme to imitation without coverage
#
# A policy is an occupancy: how much of its discounted time it spends on every pair of state and action.
# Learning from data is then a convex programme, *reward minus distance to the data*, and its dual a value
# function. On a grid both are solved exactly, so that every step below comes with a proof of its own
# optimality.

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np

from jaxrl.core.spaces import Discrete
from jaxrl.data.dataset import from_occupancy
from jaxrl.dual_rl import agent, forms
from jaxrl.dual_rl.data import Data
from jaxrl.dual_rl.divergences import DIVERGENCES, Surrogate
from jaxrl.dual_rl.methods import METHODS
from jaxrl.dual_rl.objectives import EXPECTILE, conjugate
from jaxrl.envs.tabular.generators import gridworld
from jaxrl.run.sweep import sweep
from theory.dual_rl.duality import dual_v, recoil_v
from theory.dual_rl.imitation import recoil_released, smodice
from theory.dual_rl.maximisers import fixed_point
from theory.dual_rl.reference import Problem, without_expert
from theory.dual_rl.solve import run
from theory.exact import lp
from theory.exact.occupancy import discounted_occupancy, policy_of
from theory.exact.optimal_control import solve

# %% [markdown]
# ## A maze, and data from a poor policy
# A fifth of the moves slip. The behaviour that leaves the data drifts right and down; it is far from
# optimal.

# %%
MAZE = ["S..#..", ".#.#..", ".#....", ".##.#.", "....#G"]
with jax.enable_x64(True):
    mdp = gridworld(MAZE, slip=0.2, gamma=0.9, terminal_goal=False)
GAMMA = float(mdp.gamma)
behaviour = np.tile([0.2, 0.3, 0.2, 0.3], (mdp.n_states, 1))  # up, down, left, right
data = discounted_occupancy(mdp, behaviour)
reward = (np.asarray(mdp.P) * np.asarray(mdp.R)).sum(-1)
best = solve(mdp)

cells = [(r, c) for r, row in enumerate(MAZE) for c, x in enumerate(row) if x != "#"]


def as_map(values):
    """Values of states on the map, walls blank."""
    picture = np.full((len(MAZE), len(MAZE[0])), np.nan)
    picture[tuple(np.transpose(cells))] = values
    return picture


def show(pictures, label, **limits):
    """Maps side by side, by title."""
    figure, axes = plt.subplots(
        1, len(pictures), figsize=(2.4 * len(pictures) + 0.8, 2.6), layout="constrained", squeeze=False
    )
    for axis, (title, values) in zip(axes[0], pictures.items(), strict=True):
        image = axis.imshow(as_map(values), **limits)
        axis.set(xticks=[], yticks=[])
        axis.set_title(title, fontsize=9)
    figure.colorbar(image, ax=axes[0], label=label)
    plt.show()


def average(d):
    """Expected reward under an occupancy: its return times 1 - gamma."""
    return float((d * reward).sum())


# %% [markdown]
# ## The linear programme
# Without a regulariser, the best occupancy is a linear programme and its dual variable the optimal value
# function.

# %%
primal = lp.primal(mdp)
print(f"LP {primal.value:.6f}, policy iteration {best.j:.6f}, behaviour {average(data) / (1 - GAMMA):.6f}")

# %% [markdown]
# ## The dual, for every divergence
# $\max_d E_d[r] - \alpha D_f(d \| d^O)$ over occupancies is dual to an *unconstrained* problem in V,
# $$\min_V (1-\gamma) E_{d_0}[V] + \alpha E_{d^O}[f^*_p(y)], \quad y = (r + \gamma P V - V) / \alpha,$$
# and the occupancy is the data reweighted, $d = d^O w(y)$. Gap and flow residual certify it: nothing can be
# better, and $d$ is the occupancy of a policy.

# %%
duals = {key: dual_v(mdp, data, key, alpha=0.03) for key in DIVERGENCES}
for key, dual in duals.items():
    print(f"{key:5} value {dual.value:+.6f}  reward {average(dual.d):.4f}", end="  ")
    print(f"gap {dual.gap:+.0e}  flow {dual.flow:.0e}")
assert all(abs(dual.gap) < 1e-10 and dual.flow < 1e-10 for dual in duals.values())

# %%
chosen = ("chi2", "kl_n", "tv")
pictures = {"data": data, **{f"{key}, alpha 0.03": duals[key].d for key in chosen}, "optimum": primal.visits}
show({k: np.sqrt(d.sum(1) / d.sum()) for k, d in pictures.items()}, "square root of the occupancy", vmin=0)

# %% [markdown]
# ## Why the conjugate is clamped
# An occupancy is not negative. With f* of chi2 in the loss, instead of its conjugate over ratios of at
# least 0, the dual "finds" more reward than exists.

# %%
for alpha in (0.1, 0.01, 0.001):
    free, right = (dual_v(mdp, data, "chi2", alpha, clamped=c) for c in (False, True))
    print(f"alpha {alpha:5}: f* {free.value:+9.4f} (min d {free.d.min():+.3f}), f*_p {right.value:+.4f}")
print(f"no policy exceeds {best.j * (1 - GAMMA):.4f}")

# %% [markdown]
# ## From the dual to implicit maximisers
# Freeze the target, and the dual turns into one small problem per state: a V that exceeds most of Q but not
# all. Cut at 0, conjugates never exceed the largest Q that the data contain, and reach it at a threshold of
# lambda; the exact conjugates overshoot. Expectiles do the same job without being a conjugate.

# %%
levels = np.array([0.55, 0.65, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98])
maximisers = {
    "chi2 relu": conjugate("chi2", "relu"),
    "tv relu": conjugate("tv", "relu"),
    "expectile": EXPECTILE,
    "chi2 exact": conjugate("chi2", "exact"),
}
y = np.linspace(-7, 3, 400)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for name in ("literal", "relu", "exact"):
    left.plot(y, Surrogate("chi2", name)(y), label=f"chi2 {name}")
left.set(xlabel="residual y", title="three readings of one conjugate")
left.legend()
for name, maximiser in maximisers.items():
    v = fixed_point(maximiser, levels, mdp, behaviour)
    right.plot(levels, (v - best.v).mean(1), label=name)
    if name.endswith("relu"):
        assert (v <= best.v + 1e-9).all() and np.abs(v[-1] - best.v).max() < 1e-9
right.axhline(0, color="grey", linewidth=0.8, linestyle=":")
right.set(xlabel="lambda or tau", ylabel="mean of V - V*", ylim=(-5, 5), title="fixed points")
right.legend()
plt.show()

# %% [markdown]
# ## One table of methods
# Reward, reference, divergence, gradient, maximiser, extraction: a method is a row, and one function runs
# them all. The imitation methods see an expert, and data that lack the expert's action in two thirds of the
# cells.

# %%
uncovered = 2 * mdp.n_states // 3
weak = discounted_occupancy(mdp, without_expert(behaviour, best.policy, uncovered))
# an expert that explores a little, so that it visits every cell
expert = discounted_occupancy(mdp, 0.95 * np.eye(4)[best.policy] + 0.05 / 4)
problem = Problem(mdp, data, expert, weak)
scale = best.j * (1 - GAMMA)
for name, row in METHODS.items():
    alpha = 0.03 if row.maximiser is None and row.reward == "task" else row.parameter
    found = run(row, problem, alpha)
    how = f"{row.dual}, {row.gradient}, {row.reward}, {row.reference}, {row.divergence}"
    print(f"{name:11} {found.j / scale:6.1%} of the optimum   ({how})")

# %% [markdown]
# ## Imitation without coverage: ReCOIL
# Matching `beta d + (1 - beta) dS` to `beta dE + (1 - beta) dS` needs neither rewards nor a discriminator,
# and never divides by data that are not there. The pseudo-reward of SMODICE does, and can only reweight
# what the data contain.

# %%
print(f"the data cover {expert[weak > 0].sum():.0%} of the expert")
exact = recoil_v(mdp, expert, weak, beta=0.5, key="chi2")
mixed = 0.9 * weak + 0.1 * expert
policies = {
    "expert": policy_of(expert),
    "ReCOIL, exact": exact.policy,
    "ReCOIL, released": recoil_released(mdp, expert, mixed).policy,
    "SMODICE": smodice(mdp, expert, mixed).policy,
    "cloning": policy_of(mixed),
}
visits = {name: discounted_occupancy(mdp, policy) for name, policy in policies.items()}
for name, d in visits.items():
    print(f"{name:17} reward {average(d):.4f}   distance to the expert {np.abs(d - expert).sum() / 2:.4f}")
assert np.abs(exact.d - expert).max() < 1e-9
show({name: np.sqrt(d.sum(1)) for name, d in visits.items()}, "square root of the occupancy", vmin=0)

# %% [markdown]
# A negative optimum says that no policy can be this expert. Take the expert's path without slips: the exact
# clamp gives an occupancy all the same; the relaxed one a mixture that contains a negative policy.

# %%
path, state = np.zeros_like(expert), int(np.argmax(mdp.mu0))
for _ in range(30):
    path[state, best.policy[state]] += 1 / 30
    state = int(np.asarray(mdp.P)[state, best.policy[state]].argmax())
for clamp in ("exact", "nonneg"):
    found = recoil_v(mdp, path, data, beta=0.5, key="chi2", clamp=clamp)
    print(f"clamp {clamp:7} value {found.value:+.4f}, gap {found.gap:+.0e}, smallest d {found.d.min():+.4f}")

# %% [markdown]
# ## The same rows with networks
# What follows learns from transitions. Methods that differ in their value loss alone are one program: the
# loss, its parameter and the seed are what members of a population differ in. Here V, twin Q and the policy
# are networks on one-hot cells, and every update sees all transitions of the data with their weights.


# %%
def learned(names, given, parameters, updates=2500, **others):
    """`(greedy policies [n, S], values [n, S], drift of the values)` of the rows `names`."""
    config = forms.config(*names, batch_size=None, widths=(32,), normalise_obs=False)
    spaces = Discrete(mdp.n_states), Discrete(4)
    algorithm = forms.algorithm(config, *spaces)
    rates = {"gamma": GAMMA, "tau": 0.05, "lr_value": 3e-3, "lr_actor": 3e-3, **others}
    hypers = [forms.hyper(config, n, parameter=p, **rates) for n, p in zip(names, parameters, strict=True)]
    members = sweep(
        lambda _: algorithm, [(0, h) for h in hypers], seeds=1, data=given, updates=updates, progress=False
    )
    states = np.arange(mdp.n_states)
    policies, values = [], []
    for m in members:
        policy = algorithm.act(m.state, m.hyper, True)
        policies.append(np.asarray(jax.vmap(lambda s, p=policy: p.act(jax.random.key(0), s, ())[0])(states)))
        values.append(np.asarray(agent.value(config, *spaces, m.state, states)))
    drift = members[0].history["drift"]
    return policies, values, drift[np.isfinite(drift)]


rows = {"f-DVL chi2": 0.9, "f-DVL tv": 0.9, "XQL": 0.05, "IQL": 0.9}
transitions = from_occupancy(data, mdp)
policies, values, drift = learned(tuple(rows), Data(transitions), rows.values(), awr=10.0)
found = {n: discounted_occupancy(mdp, np.eye(4)[p]) for n, p in zip(rows, policies, strict=True)}
print(f"values moved by {drift[0]:.2f} in the first 1000 updates, by {drift[-1]:.3f} in the last")
for name, d in found.items():
    print(f"{name:11} {average(d) / scale:6.1%} of the optimum, the data {average(data) / scale:.1%}")
assert average(found["f-DVL chi2"]) > 0.9 * scale
show({"optimum": best.v, **dict(zip(rows, values, strict=True))}, "V", vmin=0)

# %% [markdown]
# ReCOIL as released has another target of Q: expert pairs have G, the rest -g + gamma V. No reward is read;
# the data are those that cloning failed on.

# %%
given = Data(from_occupancy(mixed, mdp), from_occupancy(expert, mdp))
policies, values, _ = learned(("ReCOIL released",), given, [1.0])
clones, _, _ = learned(("f-DVL chi2",), Data(from_occupancy(mixed, mdp)), [0.9], awr=0.0)
learnt = discounted_occupancy(mdp, np.eye(4)[policies[0]])
cloned = discounted_occupancy(mdp, np.eye(4)[clones[0]])
print(f"ReCOIL {average(learnt) / scale:.1%} of the optimum, cloning {average(cloned) / scale:.1%}")
assert average(learnt) > 0.9 * scale > average(cloned)
show(
    {"ReCOIL": np.sqrt(learnt.sum(1)), "cloning": np.sqrt(cloned.sum(1))},
    "square root of the occupancy",
    vmin=0,
)
