"""Rules of the slot "drift": PPO, DPO, LPO, TA-LPO, TA-DPO and scheduled PPO are one function of different
parameters.

    maximise  mean[ r A - f(r, A) ],     f = relu( c_ppo f_PPO(r, A) + c_dpo f_DPO(r, A) + g(x) + h(x) - xi )
    g(x) = w2 . tanh(W1' x)  without biases,     x of products that vanish at r = 1
    h(x) = sum_k (n/N)^k c_sk . [x, tanh((r - 1) A / alpha), tanh(l A / beta), f_PPO],     s the sign of A

so g and h vanish at r = 1 and the offset xi > 0 makes f identically 0 around it: whatever W1, w2 and c are,
f >= 0, f = 0 and df/dr = 0 at r = 1 (kuba2022mirror). Progress n/N only ever multiplies features that vanish
there; as an input of its own it would break f(1, A) = 0.

With d = 1 - r and l = log r the eight features are d, d^2, l, l^2, dA, d^2 A, lA, l^2 A. Time-aware rules
append n/N times them, and then (ln N / ln N_ref) times them; the mask of `Time` multiplies these blocks.

`phi` is a dict. "parts" (`Parts`) is what makes a rule and is not evolved. "W1" float[8 | 16 | 24, h] and
"w2" float[h] are there where the rule has a network, "coefficients" float[2, 11, degree + 1] (A >= 0 first)
and "scales" (alpha, beta) float[2] where it has a closed form, "schedule" float[3, 2] where it has a learned
schedule.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.baselines import ppo as ppo_learner
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Bound, Count, Positive, Share, Size, check_value
from jaxrl.core.types import Algorithm, Array, Key, PyTree
from jaxrl.envs.base import Env
from jaxrl.meta.objective import Objective, Time, mask_of, time_inputs

FEATURES = ("d", "d^2", "l", "l^2", "d A", "d^2 A", "l A", "l^2 A")
TERMS = (*FEATURES, "tanh((r - 1) A / alpha)", "tanh(l A / beta)", "f_PPO")
BLOCKS = ("", "n/N ", "ln N ")  # what the eight features of a block are multiplied by
XI = 1e-4  # of all public code bases
ALPHA, BETA = 2.0, 0.6
LARGEST = 20.0  # log ratios are cut there

Hyper = ppo_learner.Hyper
Initial = Literal["plain", "ppo"]
"""What a drift network is added to: nothing, so that phi = 0 never clips, or the clip of PPO."""


class Parts(NamedTuple):
    """What a drift is made of, float[] each but for `anneal`.

    ppo, dpo: factors of f_PPO and f_DPO; xi: offset of the dead zone; clip: of f_PPO, and of the critic's
    values where the learner clips them; anneal: float[3], shares of learning rate, clip and entropy bonus
    that are gone at the end of the lifetime; reference: the horizon N_ref.
    """

    ppo: Array | float = 0.0
    dpo: Array | float = 0.0
    xi: Array | float = 0.0
    clip: Array | float = 0.2
    anneal: Array | tuple[float, float, float] = (0.0, 0.0, 0.0)
    reference: Array | float = 40.0


def basis(log_ratio: Array, advantage: Array) -> Array:
    """float[..., 8], the features of log ratio and advantage `[...]`, all of which vanish at log ratio 0."""
    l = jnp.clip(log_ratio, -LARGEST, LARGEST)
    d = -jnp.expm1(l)
    even = jnp.stack([d, jnp.square(d), l, jnp.square(l)], axis=-1)
    return jnp.concatenate([even, even * advantage[..., None]], axis=-1)


def weights(phi: PyTree, time: Time) -> Array:
    """float[8, h], what W1 is of the eight features at this time: the sum of its blocks times 1, n/N and
    ln N / ln N_ref, the latter two masked.

    W1' [x, (n/N) x] = (W1_1 + (n/N) W1_2)' x, so that the network has eight inputs at every sample, whatever
    the number of blocks.
    Equation: jackson2024temporal (10)
    """
    blocks = phi["W1"].reshape(-1, len(FEATURES), phi["W1"].shape[-1])
    live = time_inputs(time)
    scales = live[0], live[1] / jnp.log(phi["parts"].reference)
    return sum((scale * block for scale, block in zip(scales, blocks[1:], strict=False)), blocks[0])


def reads(phi: PyTree, ratio: Array, log_ratio: Array, advantage: Array, time: Time) -> Array:
    """float[..., F], the features of the network, then the terms of the closed form with their powers of n/N,
    of what the rule has.
    """
    live, found = time_inputs(time), []
    if "w2" in phi:
        x, blocks = basis(log_ratio, advantage), phi["W1"].shape[0] // len(FEATURES)
        scales = (1.0, live[0], live[1] / jnp.log(phi["parts"].reference))[:blocks]
        found += [scale * x for scale in scales]
    if "coefficients" in phi:
        x = terms(ratio, log_ratio, advantage, phi["scales"], phi["parts"].clip)
        found += [live[0] ** k * x for k in range(phi["coefficients"].shape[-1])]
    return jnp.concatenate(found, axis=-1)


def ppo_drift(ratio: Array, advantage: Array, clip: Array | float) -> Array:
    """relu((r - clip(r, 1 - e, 1 + e)) A), the drift of PPO: r A less it is min(r A, clip(r) A), elementwise.

    Equation: lu2022discovered [PPO as a drift]
    """
    return jax.nn.relu((ratio - jnp.clip(ratio, 1 - clip, 1 + clip)) * advantage)


def dpo_drift(ratio: Array, log_ratio: Array, advantage: Array) -> Array:
    """The closed form that was distilled from LPO, with alpha = 2 and beta = 0.6, elementwise.

    Equation: lu2022discovered [DPO]
    """
    gain, loss = (ratio - 1) * advantage, log_ratio * advantage
    above = jax.nn.relu(gain - ALPHA * jnp.tanh(gain / ALPHA))
    below = jax.nn.relu(loss - BETA * jnp.tanh(loss / BETA))
    return jnp.where(advantage >= 0, above, below)


def network(phi: PyTree, log_ratio: Array, advantage: Array, time: Time) -> Array:
    """g(x) = w2 . tanh(W1' x) at log ratios and advantages `[...]`, float[...]; no biases.

    Equation: lu2022discovered [drift network]
    """
    return jnp.tanh(basis(log_ratio, advantage) @ weights(phi, time)) @ phi["w2"]


def closed_form(phi: PyTree, ratio: Array, log_ratio: Array, advantage: Array, time: Time) -> Array:
    """H of ratios, log ratios and advantages `[...]`, float[...]: a polynomial in n/N of `TERMS`."""
    x = terms(ratio, log_ratio, advantage, phi["scales"], phi["parts"].clip)
    coefficients = phi["coefficients"]
    powers = time_inputs(time)[0] ** jnp.arange(coefficients.shape[-1])
    above, below = coefficients @ powers
    return jnp.where(advantage >= 0, x @ above, x @ below)


def terms(ratio: Array, log_ratio: Array, advantage: Array, scales: Array, clip: Array | float) -> Array:
    """float[..., 11], `TERMS` of ratios, log ratios and advantages `[...]`; all vanish at ratio 1.

    scales: alpha and beta, float[2].
    """
    x = basis(log_ratio, advantage)
    bent = jnp.tanh(jnp.stack([-x[..., 4] / scales[0], x[..., 6] / scales[1]], axis=-1))
    return jnp.concatenate([x, bent, ppo_drift(ratio, advantage, clip)[..., None]], axis=-1)


def f(phi: PyTree, ratio: Array, log_ratio: Array, advantage: Array, time: Time) -> Array:
    """The drift of any rule of this module, elementwise on arrays of one shape, never negative.

    Equation: lu2022discovered [drift]
    """
    parts = phi["parts"]
    clip = parts.clip * factors(phi, time)[1]
    total = parts.ppo * ppo_drift(ratio, advantage, clip) + parts.dpo * dpo_drift(ratio, log_ratio, advantage)
    if "w2" in phi:
        total = total + network(phi, log_ratio, advantage, time)
    if "coefficients" in phi:
        total = total + closed_form(phi, ratio, log_ratio, advantage, time)
    return jax.nn.relu(total - parts.xi)


def factors(phi: PyTree, time: Time) -> Array:
    """float[3], factors of learning rate, clip and entropy bonus: exp(a + b n/N) (1 - anneal n/N)."""
    parts = phi["parts"]
    progress = jnp.asarray(time.n, jnp.float32) / jnp.asarray(time.N, jnp.float32)
    left = 1.0 - jnp.asarray(parts.anneal, jnp.float32) * progress
    if "schedule" not in phi:
        return left
    a, b = phi["schedule"].T
    return left * jnp.exp(a + b * time_inputs(time)[0])


def scheduled(phi: PyTree, hyper: Hyper, time: Time) -> Hyper:
    """Hyper-parameters at this time: learning rate and entropy bonus scaled, and the clip of the rule."""
    lr, clip, entropy = factors(phi, time)
    return hyper.replace(lr=hyper.lr * lr, clip=phi["parts"].clip * clip, entropy=hyper.entropy * entropy)


def drift(objective: Objective, phi: PyTree = None) -> Callable[..., Array]:
    """The surrogate r A - f for `jaxrl.baselines.ppo.make(config, env, surrogate=drift(objective))`.

    phi: parameters of the rule as constants of the program; the default reads `(phi, mask)` from
    `Hyper.surrogate`, so that rules can be members of one program. n and N are those of
    `Hyper.updates_total`. The surrogate has the scheduled clip; learning rate, entropy bonus and the clip of
    values need `learner`.

    Raises:
        UsageError: the objective is of another slot.
    """
    if objective.slot != "drift":
        raise UsageError(f'objective: {objective.name} is of the slot "{objective.slot}", not of "drift"')
    fixed = None if phi is None else (phi, mask_of(objective.inputs))

    def surrogate(ratio: Array, advantage: Array, progress: Array, extra: dict[str, Any]) -> Array:
        hyper = extra["hyper"]
        own, mask = hyper.surrogate if fixed is None else fixed
        N = jnp.asarray(hyper.updates_total, jnp.float32)
        time = Time(progress * N, N, mask)
        return ratio * advantage - objective.apply(own, ratio, extra["log_ratio"], advantage, time)

    return surrogate


def told(hyper: Hyper, phi: PyTree, horizon: Array | float, mask: Array) -> Hyper:
    """Hyper-parameters of a learner whose drift has the parameters `phi` and is told `horizon`, float[]."""
    return hyper.replace(updates_total=horizon, surrogate=(phi, mask))


def learner(
    config: ppo_learner.Config, env: Env, objective: Objective, learn: ppo_learner.Learn | None = None
) -> Algorithm:
    """PPO with a drift, and with its schedule where it has one, for hyper-parameters made by `told`.

    learn: what an update does with its samples, as in `ppo.make`.

    Raises:
        UsageError: the configuration does not fit the environment, or the rule is of another slot.
    """
    algorithm = ppo_learner.make(config, env, surrogate=drift(objective), learn=learn)
    schedule = objective.schedule
    if schedule is None:
        return algorithm

    def step(state: PyTree, hyper: Hyper, data: PyTree) -> tuple[PyTree, dict[str, Any]]:
        phi, mask = hyper.surrogate
        n = jnp.minimum(state.updates.astype(jnp.float32), hyper.updates_total)  # as the surrogate sees it
        time = Time(n, hyper.updates_total, mask)
        return algorithm.step(state, schedule(phi, hyper, time), data)

    return algorithm._replace(step=step)


def ppo(clip: float = 0.2, anneal: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Objective:
    """PPO; `anneal` as in `Parts`. A clip of infinity never clips.

    Raises:
        UsageError: the clip is negative, what is annealed is not three shares, or the clip is infinite and
            annealed.
    """
    clip = check_value("clip", clip, Bound)
    shares = check_value("anneal", tuple(np.ravel(anneal).tolist()), tuple[Share, Share, Share])
    if np.isinf(clip) and shares[1]:
        raise UsageError("anneal: an infinite clip has no share that could be gone; give a finite clip")
    return _rule("PPO", Parts(ppo=1.0, clip=clip, anneal=shares))


def dpo() -> Objective:
    """Discovered policy optimisation, the closed form."""
    return _rule("DPO", Parts(dpo=1.0))


def lpo(initial: Initial = "plain", hidden: int = 128) -> Objective:
    """Learned policy optimisation, blind to time: 8 features.

    initial: what the network is added to. hidden: units of the network, >= 1.

    Raises:
        UsageError: `initial` is neither "plain" nor "ppo", or `hidden` is below 1.
    """
    return _learned("LPO", initial, hidden, 1, ())


def ta_lpo(
    initial: Initial = "plain", hidden: int = 128, features: int = 16, reference: float = 40.0
) -> Objective:
    """Temporally-aware LPO: 16 features, or 24 with the horizon, which is measured against `reference`.

    initial, hidden: as in `lpo`. reference: the horizon N_ref in updates, above 1.

    Raises:
        UsageError: the number of features is neither 16 nor 24, `reference` is not above 1, and as `lpo`.
    """
    if features not in (16, 24):
        raise UsageError(f"features: TA-LPO has 16 (n/N), or 24 with ln N; got {features}")
    live = ("n/N",) if features == 16 else ("n/N", "ln N")
    return _learned("TA-LPO", initial, hidden, features // len(FEATURES), live, reference)


@functools.cache  # one object per degree: programs are compiled per rule
def ta_dpo(degree: int = 2) -> Objective:
    """A closed form whose coefficients are polynomials in n/N, where `distillation` puts what it finds.

    degree: of the polynomials, 0 for a rule that is blind to time.

    Raises:
        UsageError: the degree is negative.
    """
    degree = check_value("degree", degree, Count)

    def init(key: Key) -> PyTree:
        zero = jnp.zeros((2, len(TERMS), degree + 1), jnp.float32)
        return {"parts": Parts(xi=XI), "coefficients": zero, "scales": jnp.array([ALPHA, BETA], jnp.float32)}

    powers = ("", "n/N ", *(f"(n/N)^{k} " for k in range(2, degree + 1)))[: degree + 1]
    names = tuple(power + term for power in powers for term in TERMS)
    live, name = (("n/N",), "TA-DPO") if degree else ((), "DPO, fitted")
    return Objective(init, f, "drift", live, name, names, reads=reads)


def scheduled_ppo() -> Objective:
    """PPO with log learning rate, log clip and log entropy bonus moved by a + b n/N each, 0 at the start."""

    def init(key: Key) -> PyTree:
        return {"parts": Parts(ppo=1.0), "schedule": jnp.zeros((3, 2), jnp.float32)}

    return Objective(init, f, "drift", ("n/N",), "scheduled PPO", schedule=scheduled)


def family(hidden: int = 32, blocks: int = 2) -> Objective:
    """All rules of this module, up to `blocks` blocks of features, as members of one program.

    Which rule a member is, its parts and its mask say; what it does not have is 0.

    Raises:
        UsageError: `blocks` is not 1, 2 or 3, or `hidden` is below 1.
    """
    hidden = check_value("hidden", hidden, Size)
    if blocks not in (1, 2, 3):
        raise UsageError(f"blocks: a drift has 1, 2 (n/N) or 3 (ln N, too) blocks of features, got {blocks}")

    def init(key: Key) -> PyTree:
        empty = {"schedule": jnp.zeros((3, 2), jnp.float32)}
        return {"parts": Parts(xi=XI)} | start(key, blocks, hidden) | empty

    live = ("n/N",) if blocks == 2 else ("n/N", "ln N")[: 2 * (blocks > 1)]
    return Objective(init, f, "drift", live, "drift", schedule=scheduled)


def padded(phi: PyTree, hidden: int, blocks: int) -> PyTree:
    """Parameters of the same rule as a member of `family(hidden, blocks)`: what it does not have is zero.

    phi: of any rule of this module, with at most `hidden` units and `blocks` blocks of features.

    Raises:
        UsageError: the rule has a closed form, which the family has not, or is larger than it.
    """
    if "coefficients" in phi:
        raise UsageError("phi: has a closed form, which no member of the family has; use the rule by itself")
    W1, w2 = phi.get("W1", jnp.zeros((0, 0))), phi.get("w2", jnp.zeros(0))
    rows, units = blocks * len(FEATURES) - W1.shape[0], hidden - W1.shape[1]
    if rows < 0 or units < 0:
        raise UsageError(
            f"phi: has {W1.shape[0] // len(FEATURES)} blocks and {W1.shape[1]} units, the family {blocks} and"
            f" {hidden}; take a larger one"
        )
    return {
        "parts": phi["parts"],
        "W1": jnp.pad(W1, ((0, rows), (0, units))),
        "w2": jnp.pad(w2, (0, units)),
        "schedule": phi.get("schedule", jnp.zeros((3, 2))),
    }


def in_one_structure(phi: PyTree, hidden: int = 32, degree: int = 2) -> PyTree:
    """Parameters of any rule of this module in one structure, for `f`: what it does not have is zero.

    phi: of a rule with at most `hidden` units, two blocks of features, and the power `degree` of n/N.
    """
    closed = {name: phi[name] for name in ("coefficients", "scales") if name in phi}
    rest = {name: value for name, value in phi.items() if name not in closed}
    coefficients = closed.get("coefficients", jnp.zeros((2, len(TERMS), 1)))
    missing = degree + 1 - coefficients.shape[-1]
    made = padded(rest, hidden, 2) | {
        "coefficients": jnp.pad(coefficients, ((0, 0), (0, 0), (0, missing))),
        "scales": closed.get("scales", jnp.ones(2)),
    }
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), made)


def _rule(name: str, parts: Parts) -> Objective:
    schedule = scheduled if any(parts.anneal) else None
    return Objective(lambda key: {"parts": parts}, f, "drift", (), name, schedule=schedule)


def _learned(
    name: str, initial: Initial, hidden: int, blocks: int, live: tuple[str, ...], reference: float = 40.0
) -> Objective:
    if initial not in ("plain", "ppo"):
        raise UsageError(f'initial: must be "plain" or "ppo", got {initial!r}')
    hidden = check_value("hidden", hidden, Size)
    if not check_value("reference", reference, Positive) > 1:
        raise UsageError(f"reference: must be above 1, its logarithm divides that of N; got {reference:g}")
    parts = Parts(ppo=float(initial == "ppo"), xi=XI, reference=reference)

    def init(key: Key) -> PyTree:
        return {"parts": parts} | start(key, blocks, hidden)

    names = tuple(block + feature for block in BLOCKS[:blocks] for feature in FEATURES)
    title = name if initial == "plain" else f"{name}, from PPO"
    return Objective(init, f, "drift", live, title, names, reads=reads)


def start(key: Key, blocks: int, hidden: int) -> PyTree:
    """Begin a search: W1 ~ N(0, 1/8) in every block, w2 = 0, so that the network says nothing.

    Zero everywhere would not do: g is the same for phi and -phi, so that both signs of a perturbation tie.
    """
    normal = jax.random.normal(key, (blocks * len(FEATURES), hidden), jnp.float32)
    return {"W1": normal / len(FEATURES) ** 0.5, "w2": jnp.zeros(hidden, jnp.float32)}
