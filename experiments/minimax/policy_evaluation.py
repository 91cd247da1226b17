"""Policy evaluation: TD diverges with fixed features, overshoots with learned ones; descent-ascent does not.

Two problems in population form, no penalty. AR(1): s' = 0.9 s + noise, r = sin s, gamma = 0.9, states from
the stationary distribution, where TD is the fastest. Off-policy: two states that both lead to the second but
are weighted equally (Tsitsiklis and Van Roy 1997).

Legend: `S` seeds, `M` methods, `A` scales, `T` saved times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.minimax import members
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size, check_fields
from jaxrl.core.types import Array
from jaxrl.minimax import instances
from jaxrl.minimax.estimators import policy_evaluation as rules
from jaxrl.minimax.flow import integrate
from jaxrl.minimax.particles import TANH, Family, Particles, displacement, draw, equal_weights, gram, predict
from jaxrl.minimax.problem import Problem
from jaxrl.minimax.velocity import Networks, Players, velocity
from jaxrl.report import plots
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys
from theory.minimax import truth
from theory.minimax.oracles import lazy_matrix

METHODS = ("TD(0)", "descent-ascent", "residual gradient")
KNOWN = {
    "TD(0)": (0.0077, 0.0031, 0.0020, 0.0017, 0.0014),
    "descent-ascent": (0.229, 0.063, 0.0144, 0.0026, 0.0019),
    "residual gradient": (0.222, 0.068, 0.0144, 0.0024, 0.0018),
}
"""Relative squared errors at the times below by an independent implementation, one draw."""
TIMES = (50, 100, 200, 500, 1000)
SMALL = Family(bound=float("inf"), bias=False)
LAZY_T = 60.0  # later the linearised TD overflows every axis
SPREAD = (1.0, 0.3)  # of beta and w, off-policy


@dataclass(frozen=True)
class Config:
    """Networks, times, draws."""

    width: Size = 512
    """Particles per player, an even number."""
    alpha: Positive = 8.0
    """Output scale of the AR(1) problem, > 0."""
    horizon: Positive = 1000.0
    """Time at which the AR(1) problem ends, by Heun's method in steps of 0.1; a multiple of 50."""
    alphas: tuple[Positive, ...] = (1.0, 4.0, 16.0)
    """Output scales of the off-policy problem, > 0."""
    off_horizon: Positive = 2000.0
    """Time at which the off-policy problem ends, by Euler's method in steps of 0.05; a multiple of 10."""
    seeds: Size = 10
    """Number of draws of initial particles."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.width % 2:
            raise UsageError(f"width: must be even and >= 2 (mirror pairs), got {self.width}")
        if self.horizon % 50 or self.off_horizon % 10:
            raise UsageError("horizon: a multiple of 50, off_horizon: a multiple of 10")


PRESETS = {
    "smoke": Config(width=16, horizon=50.0, alphas=(1.0, 16.0), off_horizon=50.0, seeds=2),
    "quick": Config(),
    "paper": Config(width=1024, seeds=16),
}
BETTER = "less"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `error [M, S, T]` and `moved [S]` of AR(1), `off_error` and `off_residual [2, S, A, T]`.

    spectra: `[S, 2]`, largest real parts of TD and descent-ascent linearised at the particles of every draw;
    lazy_error: `[2, T]`, errors of both from those of the first.
    """
    folder.say(f"policy_evaluation: seeds {config.seed} + 0 ... {config.seeds - 1}")
    with jax.enable_x64(True):
        keys = member_keys(config.seed, config.seeds)
        t, error, shift = _ar1(config, keys)
        off_t, off_error, off_residual = _off_policy(config, keys)
        lazy_t = np.linspace(0, LAZY_T, 201)
        lazy = [_lazy(config, key, lazy_t) for key in keys]
    folder.save_result(
        t=t,
        error=error,
        moved=shift,
        off_t=off_t,
        alphas=config.alphas,
        off_error=off_error.astype(np.float32),
        off_residual=off_residual.astype(np.float32),
        lazy_t=lazy_t,
        lazy_error=lazy[0][0],
        spectra=[largest for _, largest in lazy],
    )
    for method, found in zip(METHODS, error.mean(1), strict=True):
        at = ", ".join(f"{found[t == x][0]:.4f}" for x in TIMES if x <= t[-1])
        folder.say(f"policy_evaluation: AR(1), {method}: {at}; known {KNOWN[method]}")
    folder.say(
        "policy_evaluation: lazy TD and descent-ascent, largest real parts"
        f" {np.max([largest for _, largest in lazy], axis=0)}, known 0.184 and 0"
    )
    early = off_t <= 200
    for a, alpha in enumerate(config.alphas):
        peak, end = off_error[0, :, a, early].max(0), off_error[:, :, a, -1]
        folder.say(
            f"policy_evaluation: off-policy, alpha {alpha:g}: peak error of TD {peak}, known 9.5 / 11.6 / 25;"
            f" at the end TD {end[0]}, descent-ascent {end[1]}, residual {off_residual[1, :, a, -1]}"
        )


def _ar1(config: Config, keys: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, relative squared errors `[M, S, T]`, alpha times the displacement of descent-ascent `[S]`."""
    made, alpha, networks = instances.ar1(0.9, 0.9), config.alpha, Networks()
    V = instances.hermite(made.x[:, 0], 24) @ truth.ar1_value(truth.sin_coefficients(24), 0.9, 0.9)
    weights, steps = equal_weights(config.width), round(config.horizon / 0.1)

    def one(key: Any) -> Any:
        k_primal, k_dual = jax.random.split(key)
        theta, omega = (draw(k, TANH, 1, config.width) for k in (k_primal, k_dual))
        fields, starts = _fields(networks, made, weights, alpha), ((theta,), (theta, omega), (theta,))
        paths = [
            integrate(field, start, 0.1, steps, 100, "heun")[0]
            for field, start in zip(fields, starts, strict=True)
        ]
        at = jax.vmap(lambda rows: predict(TANH, Particles(rows, weights), made.x, alpha))
        shift = alpha * displacement(Particles(paths[1][-1], weights), theta)
        return jnp.stack([((at(path) - V[None]) ** 2 @ made.p) / (made.p @ V**2) for path in paths]), shift

    error, shift = map(np.asarray, jax.jit(members.over(one))(keys))
    return 10.0 * np.arange(error.shape[-1]), np.swapaxes(error, 0, 1), shift


def _fields(
    networks: Networks, made: Problem, weights: Array, alpha: Any
) -> tuple[Callable[[Any], Any], ...]:
    """Velocities of the three methods."""

    def single(rule: Callable[..., Array]) -> Callable[[Any], Any]:
        model = rules.particle(networks.primal, made.x, weights, alpha)
        return lambda y: (rule(model, made, y[0]),)

    def both(y: Any) -> Any:
        move = velocity(networks, Players(*(Particles(rows, weights) for rows in y)), made, alpha)
        return move.primal, move.dual

    return single(rules.td), both, single(rules.residual)


def _off_policy(config: Config, keys: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, errors and Bellman residuals in L2(p) of TD and descent-ascent, `[2, S, A, T]`."""
    made, weights = instances.off_policy(), equal_weights(config.width)
    networks, steps = Networks(SMALL, SMALL), round(config.off_horizon / 0.05)

    def one(key: Any, alpha: Any) -> Any:
        k_primal, k_dual = jax.random.split(key)
        theta, omega = (draw(k, SMALL, 1, config.width, scale=SPREAD) for k in (k_primal, k_dual))
        td, both, _ = _fields(networks, made, weights, alpha)
        every = max(1, steps // 400)
        paths = [
            integrate(f, y, 0.05, steps, every, "euler")[0]
            for f, y in ((td, (theta,)), (both, (theta, omega)))
        ]
        f = jnp.stack(
            [
                jax.vmap(lambda rows: predict(SMALL, Particles(rows, weights), made.x, alpha))(path)
                for path in paths
            ]
        )
        error = f - jnp.array([1.0, 2.0])[None, None]
        return jnp.sqrt(error**2 @ made.p), jnp.sqrt((error @ made.T.T) ** 2 @ made.q)

    flows = jax.jit(members.table(one))
    error, residual = (np.moveaxis(np.asarray(x), 2, 0) for x in flows(keys, jnp.array(config.alphas)))
    return np.linspace(0, config.off_horizon, error.shape[-1]), error, residual


def _lazy(config: Config, key: Array, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Error in L2(p) of linearised TD and descent-ascent `[2, T]`, and the largest real parts `[2]`."""
    made = instances.off_policy()
    k_primal, k_dual = jax.random.split(key)
    nets = [
        Particles(draw(k, SMALL, 1, config.width, scale=SPREAD), equal_weights(config.width))
        for k in (k_primal, k_dual)
    ]
    primal, dual = (np.asarray(gram(SMALL, net, made.x)) for net in nets)
    systems = -primal @ np.diag(made.p) @ made.T, lazy_matrix(made, primal, dual)
    rows = []
    for A in systems:
        start = np.zeros(len(A))
        start[:2] = [-1.0, -2.0]  # f - V; the dual is already at its saddle, 0
        m, basis = np.linalg.eig(A)
        y = (basis * np.exp(np.multiply.outer(t, m))[:, None]) @ np.linalg.solve(basis, start)
        rows.append(np.sqrt(np.abs(y[:, :2]) ** 2 @ made.p))
    return np.array(rows), np.array([np.linalg.eigvals(A).real.max() for A in systems])


def estimate(config: Config) -> dict[str, int]:
    """Members are numbers of single flows, and two lazy spectra per draw."""
    return {"members": config.seeds * (3 * (1 + len(config.alphas)) + 2)}


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Errors at the end of AR(1); peaks before t = 200, errors and residuals at the end off-policy."""
    found = {f"AR(1), {m}, relative error": x[:, -1] for m, x in zip(METHODS, result["error"], strict=True)}
    early = result["off_t"] <= 200
    for a, alpha in enumerate(result["alphas"]):
        name = f"off-policy, alpha {alpha:g}"
        found[f"{name}, TD peak"] = result["off_error"][0, :, a, early].max(0)
        found[f"{name}, TD end"] = result["off_error"][0, :, a, -1]
        found[f"{name}, descent-ascent residual"] = result["off_residual"][1, :, a, -1]
    lazy = {f"lazy {m}, largest real part": x for m, x in zip(METHODS[:2], result["spectra"].T, strict=True)}
    return found | lazy


def figure(folder: RunFolder) -> list[Path]:
    """AR(1) errors, off-policy errors, and the lazy limit."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 3, width=4.2, height=3.6)
        ax = axes[0, 0]
        for color, method, y in zip(plots.PALETTE, METHODS, result["error"], strict=False):
            ax.plot(result["t"], y.mean(0), color=color, label=method)
            ax.fill_between(result["t"], y.min(0), y.max(0), color=color, alpha=0.2, linewidth=0)
            known = [(x, v) for x, v in zip(TIMES, KNOWN[method], strict=True)]
            ax.plot(*zip(*known, strict=True), "x", color=color, markersize=4)
        ax.set(yscale="log", xlabel="t", ylabel=r"$|f - V|^2 / |V|^2$")
        ax.set_title(f"AR(1), on-policy ({len(y)} draws; x independent code)", fontsize=9)
        ax.legend(fontsize=7)
        ax = axes[0, 1]
        for a, alpha in enumerate(result["alphas"]):
            color = plots.PALETTE[a]
            for k, dash in ((0, "-"), (1, "--")):
                y = result["off_error"][k, :, a]
                ax.plot(result["off_t"], np.median(y, axis=0), dash, color=color, label=_legend(alpha, k))
                ax.plot(result["off_t"], y.T, dash, color=color, alpha=0.2, linewidth=0.5)
        _first_error(ax, result)
        ax.set(yscale="log", ylim=(1e-3, 60), xlabel="t", ylabel="error in L2(p)")
        ax.set_title("off-policy: TD overshoots, then adapts", fontsize=9)
        ax.legend(fontsize=7, ncols=2)
        ax = axes[0, 2]
        for name, y, m in zip(METHODS[:2], result["lazy_error"], result["spectra"][0], strict=True):
            ax.plot(result["lazy_t"], y, label=f"{name}, max Re m = {m:.1e}")
        _first_error(ax, result)
        ax.set(yscale="log", xlabel="t", ylabel="error in L2(p)", ylim=(1e-2, 1e8))
        ax.set_title("the same, linearised: TD diverges", fontsize=9)
        ax.legend(fontsize=7)
        return plots.save(fig, folder.figures / "policy_evaluation")


def _legend(alpha: float, k: int) -> str:
    return rf"{'descent-ascent' if k else 'TD'}, $\alpha$ = {alpha:g}"


def _first_error(ax, result: dict[str, np.ndarray]) -> None:
    ax.axhline(result["off_error"][0, 0, 0, 0], color=plots.GREY, linestyle=":", linewidth=0.8)


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
