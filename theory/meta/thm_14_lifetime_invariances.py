"""A loop of a traced number of updates is one of exactly as many, and ends of episodes cut what rules see.

Statement. A lifetime as a loop whose bound N is an argument has the numbers of N updates written out. The
progress told in the last update is (N - 1)/N. What LPG says of a step before an end of an episode does not
depend on anything after that end, and the order of workers does not matter to what is said of each.
(Backward recurrence of Oh et al. 2020 with its carry zeroed at ends.)

Check. Softmax bandits of 4 tasks by the library's loop for N = 1 .. 6 from one program, and by updates
written out in Python; the rule of scheduled step sizes, which sees n/N and log N. LPG on windows of 6 steps
and 3 workers with an end after step 2: all of the inputs after it changed, and workers permuted.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.prng import stream
from jaxrl.core.types import Array, Key
from jaxrl.meta import bandit
from jaxrl.meta.objective import MASKS, Time, Window
from jaxrl.meta.targets import lpg
from theory.exact.result import Result

TASKS, ARMS, LONGEST = 4, 3, 6
W = np.array([0.3, 1.2, -0.6])
LPG = lpg(predictions=4, embedding=4, width=8)
ROUNDING = 2e-6  # of float32 numbers of size 1, over six updates


def instance() -> Window:
    """Windows of 6 steps and 3 workers, which all end an episode at step 2."""
    rng = np.random.default_rng(0)
    y = (jnp.asarray(p, jnp.float32) for p in rng.dirichlet(np.ones(4), size=(2, 6, 3)))
    ends = jnp.zeros((6, 3), bool).at[2].set(True)
    reward, prob = (jnp.asarray(x, jnp.float32) for x in (rng.normal(size=(6, 3)), rng.random((6, 3))))
    return Window(reward, ends * 1.0, ends, prob, *y, jnp.float32(1))


@functools.cache
def looped() -> jax.stages.Wrapped:
    """Returns float[TASKS] by the library's loop, of a traced N."""
    rule, mask = bandit.step_size(), jnp.asarray(MASKS["paper"])
    params = bandit.Params(jnp.float32(1), jnp.float32(1))

    def run(N: Array) -> Array:
        phi = {"w": jnp.asarray(W, jnp.float32)}
        told = N.astype(jnp.float32)
        return bandit.lifetimes(rule, phi, jax.random.key(0), N, told, mask, params, tasks=TASKS, arms=ARMS)

    return jax.jit(run)


def draws(key: Key) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of an update as the library draws them: `[TASKS, 1]` for the arm, `[TASKS]` for the reward."""
    k_arm, k_noise = jax.random.split(key)
    arm, noise = jax.random.uniform(k_arm, (TASKS, 1)), jax.random.normal(k_noise, (TASKS,))
    return np.asarray(arm), np.asarray(noise)


def written_out(N: int, last: int) -> np.ndarray:
    """The same returns in float64 from the same draws, with updates n = 0 .. N - 1; progress is n / last."""
    k_means, k_pulls = jax.random.split(jax.random.key(0))
    mu = np.asarray(jax.random.normal(k_means, (TASKS, ARMS)), np.float64)
    theta = np.zeros((TASKS, ARMS))
    for n in range(N):
        chance, noise = draws(stream(k_pulls, n))
        pi = np.exp(theta) / np.exp(theta).sum(1, keepdims=True)
        arm = np.minimum((np.cumsum(pi, 1) < chance).sum(1), ARMS - 1)
        chosen = np.eye(ARMS)[arm]
        reward = (chosen * mu).sum(1) + noise
        step = np.exp(W[0] + W[1] * n / last + W[2] * np.log(N))
        theta = theta + step * reward[:, None] * (chosen - pi)
    pi = np.exp(theta) / np.exp(theta).sum(1, keepdims=True)
    return (pi * mu).sum(1)


def says(window: Window) -> np.ndarray:
    """All that LPG says of a window, `[T, workers, 1 + m]`."""
    phi = LPG.init(jax.random.key(0))
    pihat, yhat = jax.jit(LPG.apply)(phi, window, Time(jnp.float32(0), jnp.float32(1), MASKS["none"]))
    return np.concatenate([np.asarray(pihat)[..., None], np.asarray(yhat)], -1)


def check(late: int = 0, ends: bool = True) -> Result:
    """Differences of lifetimes, of what is said before an end, and of permuted workers.

    late: what is added to the horizon of which progress is a share. ends: whether the rule sees the ends.
    """
    errors = [np.asarray(looped()(jnp.int32(N))) - written_out(N, N + late) for N in range(1, LONGEST + 1)]
    window = instance() if ends else instance()._replace(cut=jnp.zeros((6, 3), bool))
    after = jnp.arange(6)[:, None] > 2
    other = window._replace(
        reward=jnp.where(after, 3.0, window.reward),
        done=jnp.where(after, 1.0, window.done),
        cut=after | window.cut,
        prob=jnp.where(after, 0.01, window.prob),
        y=jnp.where(after[..., None], window.y[..., ::-1], window.y),
        y_next=jnp.where(after[..., None], window.y_next[..., ::-1], window.y_next),
    )
    said = says(window)
    errors += [(said - says(other))[:3]]
    order = np.array([2, 0, 1])
    per_worker = [x[:, order] for x in window[:-1]]
    errors += [said[:, order] - says(Window(*per_worker, window.gamma))]
    measured = max(float(np.abs(e).max()) for e in errors)
    return Result(measured, ROUNDING, measured <= ROUNDING)


def broken() -> Result:
    """The smaller failure of two: a progress of n / (N + 1), and a recurrence that runs on over an end."""
    return min(check(late=1), check(ends=False), key=lambda result: result.measured)
