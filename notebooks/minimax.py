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
# # Mean-field minimax: watch the particles move
#
# What is the effect of $x$ on $y$ when something unseen drives both? An instrument $z$ that moves $x$ alone
# turns the question into an equation for a function, $E[y - f(x) \mid z] = 0$, and the equation into a game:
# one network looks for $f$, another for the moments that $f$ still misses. Both networks are clouds of
# particles, and everything about the game is known exactly.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from jaxrl.minimax import sgda
from jaxrl.minimax.flow import flow, moved
from jaxrl.minimax.instances import npiv_gaussian
from jaxrl.minimax.lazy import check_step
from jaxrl.minimax.samplers import npiv_points
from theory.minimax.oracles import entropic_w2, planted, saddle, w2
from theory.minimax.setting import NETWORKS, coefficients, start

SMOKE = "JAXRL_SMOKE" in os.environ  # set by the tests: fewer updates
GREY = "#5f6670"

# %% [markdown]
# ## A confounded regression
# $x = 0.7 z + \sqrt{0.51}\, \xi$ and $y = \sin x + \xi / 2 + 0.1 e$: the noise of $y$ is correlated with $x$,
# so that no regression of $y$ on $x$, however large its sample, finds the sine.

# %%
rows = npiv_points(jax.random.key(0), 2000, 0.7)
x, y = np.asarray(rows.x[:, 0, 0]), np.asarray(rows.b)
line = np.linspace(-2.2, 2.2, 45)
regression = np.poly1d(np.polyfit(x, y, 5))

# %% [markdown]
# ## Descent-ascent on single observations
# $$\min_f \max_g\; E\big[g(z)(f(x) - y) - \tfrac12 g(z)^2 + \tfrac\lambda2 f(x)^2\big]$$
# Every update draws fresh observations and moves both clouds. Four seeds are one program.

# %%
config, hyper = sgda.Config(width=128), sgda.Hyper(alpha=4.0, eps=0.25)
algorithm = sgda.make(config, lambda key, _: npiv_points(key, 64, 0.7, lam=1e-3))
grid = jnp.asarray(line[:, None], jnp.float32)


@jax.jit
@jax.vmap
def learn(key):
    """f on the grid, 50 times along the way."""
    look = lambda state: sgda.evaluate(config, state, hyper, grid)  # noqa: E731
    updates = 500 if SMOKE else 5000
    return sgda.run(algorithm, key, hyper, None, updates, look, every=updates // 50)[1]


path = np.asarray(learn(jax.random.split(jax.random.key(1), 4)))
average = path[:, 25:].mean(1)

figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
axis.plot(x, y, ".", color="#c9ced6", markersize=3, label="observations")
axis.plot(line, regression(line), color="#D55E00", label="regression of y on x")
axis.plot(line, average.T, color="#0072B2", alpha=0.6)
axis.plot([], [], color="#0072B2", label="descent-ascent, 4 seeds")
axis.plot(line, np.sin(line), "k--", label="truth")
axis.set(xlabel="x", ylabel="y", ylim=(-3, 3))
axis.legend(fontsize=8)
plt.show()

# %%
for name, f in {"regression": regression(line)[None], "descent-ascent": average}.items():
    print(f"{name:15} rms error {np.sqrt(np.mean((f - np.sin(line)) ** 2, axis=1)).round(3)}")

# %% [markdown]
# ## The game without noise
# On a grid of nodes the expectations are sums and the saddle is a linear solve. The particles follow an
# ordinary differential equation, here with an output scale $\alpha$ of 1 and of 16: the larger the scale, the
# less a particle needs to move.

# %%
made = npiv_gaussian(0.7, 0.1)
f_star, g_star = saddle(made)
ALPHAS = (1.0, 16.0)
with jax.enable_x64(True):
    players = start(jax.random.key(2), 128)
    print(f"Euler's method is stable up to a step of {check_step(NETWORKS, players, made, 0.1):.2f}")
    run = jax.vmap(lambda a: flow(NETWORKS, players, made, a, (f_star, g_star), dt=0.2, steps=200, every=4))
    traces = jax.tree.map(np.asarray, jax.jit(run)(jnp.array(ALPHAS)))

# %%
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained", width_ratios=(1, 1, 1.2))
for axis, alpha, theta in zip(axes, ALPHAS, traces.theta, strict=False):
    axis.plot(theta[:, :, 1], theta[:, :, 0], color="#0072B2", linewidth=0.6)
    axis.plot(theta[-1, :, 1], theta[-1, :, 0], ".", color="#D55E00", markersize=4)
    axis.set(
        xlabel="inner weight w",
        ylabel=r"outer weight $\beta$",
        title=rf"particles of f, $\alpha$ = {alpha:g}",
    )
axes[2].plot(made.x[:, 0], f_star, "k--", label="saddle f*")
for alpha, f in zip(ALPHAS, traces.f, strict=True):
    axes[2].plot(made.x[:, 0], f[-1], "o-", markersize=3, label=rf"$\alpha$ = {alpha:g}, t = 40")
axes[2].set(xlabel="x", xlim=(-3.5, 3.5), ylim=(-1.6, 1.6), title="the functions agree")
axes[2].legend(fontsize=8)
plt.show()

# %% [markdown]
# ## How far is far?
# Distances between clouds must be exact: a transport plan with entropy blurs by more than the clouds moved.

# %%
for alpha, theta in zip(ALPHAS, traces.theta, strict=True):
    exact, blurred = w2(theta[-1], theta[0]), entropic_w2(theta[-1], theta[0])
    shift = np.sqrt(np.mean(np.sum((theta[-1] - theta[0]) ** 2, axis=1)))
    print(f"alpha {alpha:4g}: exact W2 {exact:.4f} <= displacement {shift:.4f}, Sinkhorn {blurred:.4f}")
    assert exact <= shift + 1e-12

# %% [markdown]
# ## A rate with a known constant
# The saddle of a *planted* problem lies at distance $O(1/\alpha)$ from the particles, and the gap
# $G = |g - g^*|^2 + \lambda |f - f^*|^2$ must integrate to a constant $C$ that the tangent kernels give. So
# its running average is $C / T$, with nothing left to fit. There is no floor at height $1/\alpha$.

# %%
PLANTED = (1.0, 4.0, 16.0)
with jax.enable_x64(True):

    def gap(alpha):
        """Times, integral of the gap, and C."""
        plan = planted(NETWORKS, players, made, *coefficients(made), alpha)
        trace = flow(NETWORKS, players, plan.problem, alpha, plan.saddle, dt=0.2, steps=600, every=10)
        return trace.t, trace.dissipated, plan.bound, alpha * moved(players, trace)[-1]

    t, dissipated, bound, shift = map(np.asarray, jax.jit(jax.vmap(gap))(jnp.array(PLANTED)))

figure, axis = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for alpha, time, total in zip(PLANTED, t, dissipated, strict=True):
    axis.loglog(time[1:], total[1:] / time[1:], label=rf"$\alpha$ = {alpha:g}")
axis.loglog(t[0, 1:], bound[0] / t[0, 1:], "k:", label="C / T")
axis.set(xlabel="T", ylabel="average gap up to T")
axis.legend(fontsize=8)
plt.show()
print("T times the average over C:", (dissipated[:, -1] / bound).round(4), "at T =", t[0, -1])
print("alpha times the displacement:", shift.round(4))
