"""Rewards that come after exploration: planned at once, by how the rewards were made.

Tables whose successors are known: RiverSwim, and four rooms of 5 x 5 and of 9 x 9 cells. After one
exploration without reward every method leaves a model, and policies are planned with it, without a bonus, for
three groups of rewards: random ones, which are easy and separate nothing; one for every state at the last
stage; and the worst that alternating linear programmes find against this very model. Pairs that were never
visited lead to their successors with equal probabilities. The figures come with a page for each map of rooms,
on which a reader writes rewards of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.reward_free import zero_shot_page
from experiments.reward_free.errors import battery_errors, one_shots
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.types import PyTree
from jaxrl.envs.tabular.generators import four_rooms, four_rooms_layout, riverswim
from jaxrl.envs.tabular.known_support import KnownSupportMixture, known_support
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.reward_free import hf, rewards, ucrl_rfe
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.regression import refactored
from jaxrl.reward_free.tabular import max_entropy, uniform
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member, sweep
from theory.exact import planning_error

PER_UPDATE = 20  # episodes
MOST_VARIABLES = 1000  # H S A up to which the worst reward is looked for
ProblemName = Literal["RiverSwim", "rooms 5", "rooms 9"]
MethodName = Literal["UCRL-RFE", "HF-UCRL-RFE++", "maximum entropy", "uniform policy"]


class Problem(NamedTuple):
    """Tables by the function that makes them, horizon, episodes, and c_beta of UCRL-RFE and of HF."""

    mdp: Callable[[], Any]
    horizon: int
    episodes: int
    c_beta: dict[str, float]
    side: int = 0


PROBLEMS = {
    "RiverSwim": Problem(lambda: riverswim(6), 20, 100, {"UCRL-RFE": 0.05, "HF-UCRL-RFE++": 0.03}),
    "rooms 5": Problem(lambda: four_rooms(5), 12, 3000, {"UCRL-RFE": 0.003}, 5),
    "rooms 9": Problem(lambda: four_rooms(9), 40, 3000, {"UCRL-RFE": 0.0005}, 9),
}
MODULES: dict[str, Any] = {
    "UCRL-RFE": ucrl_rfe,
    "HF-UCRL-RFE++": hf,
    "maximum entropy": max_entropy,
    "uniform policy": uniform,
}


def _pairs(config: Any) -> list[tuple[str, str]]:
    """Problems and explorers that run together."""
    pairs = [(problem, method) for problem in config.problems for method in config.methods]
    return [(p, m) for p, m in pairs if m != "HF-UCRL-RFE++" or p == "RiverSwim"]


@dataclass(frozen=True)
class Config:
    """Problems, explorers and rewards."""

    problems: tuple[ProblemName, ...] = ("RiverSwim", "rooms 5", "rooms 9")
    """Tables: RiverSwim of six states for 100 episodes of 20 steps, four rooms of 5 x 5 cells for 3000
    episodes of 12 steps, and of 9 x 9 cells for 3000 episodes of 40 steps."""
    methods: tuple[MethodName, ...] = ("UCRL-RFE", "HF-UCRL-RFE++", "maximum entropy", "uniform policy")
    """Explorers. HF-UCRL-RFE++ needs a plan in nearly every episode of the rooms and runs on RiverSwim
    alone."""
    shorter: Size = 1
    """Divisor of the number of episodes."""
    random: Size = 100
    """Number of random rewards."""
    adversary: bool = True
    """Whether the worst reward is looked for, by linear programmes, where these are small enough."""
    seeds: Size = 4
    """Members per problem and explorer; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """Root seed of the members and of the random rewards, in [0, 2^32)."""
    float64: bool = True
    """Whether the run computes in double precision."""

    def __post_init__(self) -> None:
        check_fields(self)
        for field in ("problems", "methods"):
            found = getattr(self, field)
            if not found or len(set(found)) < len(found):
                raise UsageError(f"Config.{field}: must be at least one, each once, got {found}")
        if not _pairs(self):
            raise UsageError("Config.methods: HF-UCRL-RFE++ runs on RiverSwim alone; add another method")


PRESETS = {
    "smoke": Config(
        ("rooms 5",), ("UCRL-RFE", "uniform policy"), shorter=50, random=5, adversary=False, seeds=2
    ),
    "quick": Config(),
    "paper": Config(seeds=50),
}
BETTER = "less"


class Explored(NamedTuple):
    """What one member came to.

    random, one_shot: float[n], errors of their rewards. adversary, upper: ends of the bracket of the worst
    error, the first NaN where the programmes are too large, the second at most 1. certificate,
    rho: of the learner, NaN where it has none. model: float[P, k], probabilities of the successors. reward:
    float[H, S, A], the worst one found.
    """

    random: np.ndarray
    one_shot: np.ndarray
    adversary: float
    upper: float
    certificate: float
    rho: float
    model: np.ndarray
    reward: np.ndarray


def run(config: Config, folder: RunFolder) -> None:
    """Saves by problem and method: `random`, `one_shot` `[R, seeds, n]`, `adversary`, `upper`, `certificate`,
    `rho` `[R, seeds]`; and of the first seed `model_<i> [P, k]` and `reward_<i> [H, S, A]`.
    """
    pairs = _pairs(config)
    rows = [_explore(config, folder, i, *pair) for i, pair in enumerate(pairs)]
    most = max(len(row[0].one_shot) for row in rows)
    padded = [
        [np.pad(x.one_shot, (0, most - len(x.one_shot)), constant_values=np.nan) for x in row] for row in rows
    ]
    names = ("adversary", "upper", "certificate", "rho")
    arrays = {f"model_{i}": row[0].model for i, row in enumerate(rows)}
    arrays |= {f"reward_{i}": row[0].reward for i, row in enumerate(rows)}
    folder.save_result(
        problem=[problem for problem, _ in pairs],
        method=[method for _, method in pairs],
        random=np.array([[x.random for x in row] for row in rows]),
        one_shot=np.array(padded),
        **{name: np.array([[getattr(x, name) for x in row] for row in rows]) for name in names},
        **arrays,
    )


def _explore(config: Config, folder: RunFolder, i: int, problem: str, method: str) -> list[Explored]:
    """The members of one explorer on one problem."""
    tables, H, episodes, c_beta, _ = PROBLEMS[problem]
    mdp, module = tables(), MODULES[method]
    mixture = known_support(mdp)
    of_mixture = method in ("UCRL-RFE", "HF-UCRL-RFE++")
    if of_mixture:
        bound = float(np.linalg.norm(np.asarray(mixture.theta, np.float64)))
        env = KnownSupportMixture(mdp.n_states, mdp.n_actions, mixture.width)
        # Without `pin` the first estimate is 0, whose expectations vanish, and the certificate of that plan
        # is smaller than all later ones: the first model would be kept to the end.
        static = module.Config(H, PER_UPDATE, pin=True) if module is hf else module.Config(H, PER_UPDATE)
        hyper = module.Hyper(horizon=H, c_beta=c_beta[method], bound=bound)
    else:
        env, static, hyper = Tabular.of(mdp), module.Config(H), module.Hyper(horizon=H)
    per = PER_UPDATE if of_mixture else 1
    members = sweep(
        lambda static: module.make(static, env),
        [(static, hyper)],
        seeds=config.seeds,
        seed=config.seed,
        data=mixture if of_mixture else mdp,
        updates=max(1, episodes // config.shorter // per),
        env_steps_per_update=per * H,
        folder=folder,
        stage=f"explore-{i}",
        float64=config.float64,
    )
    return [_measures(config, problem, method, mixture, member) for member in members]


def _measures(config: Config, problem: str, method: str, mixture: PyTree, member: Member) -> Explored:
    form, module, state, H = form_of(mixture), MODULES[method], member.state, PROBLEMS[problem].horizon
    S, A = mixture.n_states, mixture.n_actions
    if method in ("UCRL-RFE", "HF-UCRL-RFE++"):
        theta = state.best.theta if module is hf else _estimate(state)
        certificate = float(module.certificate(state))
        rho = float(module.realised_radius(member.static, state, member.hyper, mixture))
    else:
        rows = state.counts[0].reshape(S * A, S)
        theta, certificate, rho = jnp.take_along_axis(rows, form.successors, 1), np.nan, np.nan
    model = form.kernel(jnp.asarray(theta, form.mask.dtype))
    P, Q = mixture.to_tabular().P, form.table(model)
    drawn = rewards.random_rewards(jax.random.key(config.seed), config.random, H, S, A)
    last = one_shots(H, S, A)[-S:]
    worst, reward = np.nan, np.zeros((H, S, A))
    if config.adversary and H * S * A <= MOST_VARIABLES:
        found = planning_error.lower(P, Q, H, random=10)
        worst, reward = found.value, found.reward
    return Explored(
        np.asarray(battery_errors(P, Q[None], drawn)),
        np.asarray(battery_errors(P, Q[None], last)),
        worst,
        min(1.0, planning_error.upper(P, Q, H)),  # no error is above 1
        certificate,
        rho,
        np.asarray(model),
        reward,
    )


def _estimate(state: Any) -> jax.Array:
    return refactored(state.regression).theta


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and environment steps of a run."""
    pairs = _pairs(config)
    steps = sum(PROBLEMS[p].horizon * (PROBLEMS[p].episodes // config.shorter) for p, _ in pairs)
    return {
        "members": len(pairs) * config.seeds,
        "compilations": len(pairs),
        "env_steps": steps * config.seeds,
    }


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Largest errors of each group of rewards, the bracket of the worst error, and certificates."""
    found: dict[str, Score | np.ndarray] = {}
    for i, (problem, method) in enumerate(
        zip(result["problem"].tolist(), result["method"].tolist(), strict=True)
    ):
        label = f"{problem}, {method}"
        found[f"{label}: one-shot rewards of the last stage"] = np.nanmax(result["one_shot"][i], -1)
        rows = {
            "random rewards": result["random"][i].max(-1),
            "worst reward found": result["adversary"][i],
            "upper bound": result["upper"][i],
            _certificate(problem, method): result["certificate"][i],
            "rho": result["rho"][i],
        }
        found |= {
            f"{label}: {name}": Score(x, BETTER, derived=True)
            for name, x in rows.items()
            if np.isfinite(x).any()
        }
    return found


def _certificate(problem: str, method: str) -> str:
    """Name of the row, with the multiplier of the radius where there is one."""
    c_beta = PROBLEMS[problem].c_beta.get(method)
    return "certificate" if c_beta is None else f"certificate, c_beta {c_beta:g}"


def figure(folder: RunFolder) -> list[Path]:
    """Shares of rewards by planning error, per problem and group; a page of every map of rooms."""
    result = folder.load_result()
    problems = list(dict.fromkeys(result["problem"].tolist()))
    with plots.paper():
        fig, axes = plots.subplots(len(problems), 3, width=3.2)
        for row, problem in enumerate(problems):
            for i in np.flatnonzero(result["problem"] == problem):
                method = result["method"][i]
                colour = plots.PALETTE[list(MODULES).index(method)]
                for column, name in enumerate(("random", "one_shot", "adversary")):
                    _shares(axes[row, column], result[name][i], colour, method)
            for column, title in enumerate(("random rewards", "last stage", "worst reward")):
                axes[row, column].set(title=f"{problem}: {title}", xlabel="planning error", ylim=(0, 1.02))
        axes[0, 0].set(ylabel="share of rewards and runs")
        axes[0, 0].legend(fontsize=7)
        pages = [_page(folder, result, name) for name in problems if PROBLEMS[name].side]
        return [*plots.save(fig, folder.figures / "zero_shot"), *pages]


def _shares(ax: Any, errors: np.ndarray, colour: str, label: str) -> None:
    """The share of errors that are at most x; a remark where there are none."""
    x = np.sort(errors[np.isfinite(errors)])
    if not x.size:
        ax.text(0.5, 0.5, "not looked for", ha="center", transform=ax.transAxes, color=plots.GREY)
    else:
        ax.step(
            np.r_[0, x], np.r_[0, np.arange(1, x.size + 1) / x.size], where="post", color=colour, label=label
        )


def _page(folder: RunFolder, result: dict[str, np.ndarray], problem: str) -> Path:
    """The page of one map of rooms, with the models of the first seed."""
    tables, H, episodes, c_beta, side = PROBLEMS[problem]
    mixture = known_support(tables())
    form = form_of(mixture)
    models = []
    for i in np.flatnonzero(result["problem"] == problem):
        method, worst = result["method"][i], float(result["adversary"][i, 0])
        models.append(
            zero_shot_page.Model(
                method,
                result[f"model_{i}"],
                float(result["upper"][i, 0]),
                _finite(result["certificate"][i, 0]),
                c_beta.get(method),
                _finite(result["rho"][i, 0]),
                result[f"reward_{i}"] if np.isfinite(worst) else None,
            )
        )
    ran = episodes // int(folder.config["shorter"])
    page = zero_shot_page.render(
        zero_shot_page.Rooms(
            f"Four rooms of {side} x {side} cells, explored without reward",
            four_rooms_layout(side),
            H,
            np.asarray(form.successors),
            np.asarray(mixture.probabilities()).reshape(np.shape(form.successors)),
            models,
            f"{ran} episodes of {H} steps, seed {folder.config['seed']}.",
        )
    )
    path = folder.figures / f"{problem.replace(' ', '-')}.html"
    path.write_text(page)
    return path


def _finite(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None
