"""Certificate of archives on finite problems: exact values of all members, and what they fall short of.

Policies are read from the archives of a run folder, never from its results. Per archive: hypervolume of the
exact returns, hull gap and Pareto gap, the worst preference with its loss, and how many archived iterates of
the extension kept their constraints in exact arithmetic.

    python -m experiments.morl.certificate RUN
"""

from __future__ import annotations

import json
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.morl import episodic, episodic_certificate
from experiments.morl.settings import Finite, finite, learner, setting
from experiments.morl.stages import share
from jaxrl.baselines.ppo import networks
from jaxrl.core.errors import JaxrlError, UsageError
from jaxrl.core.types import Key
from jaxrl.morl import archive as archives
from jaxrl.morl.archive import Entries
from jaxrl.morl.hypervolume import hypervolume
from jaxrl.morl.metrics import hull_gap, maximum_utility_loss
from jaxrl.run.config import config_from_dict
from jaxrl.run.folder import RunFolder, atomic_write
from theory.exact.policy_evaluation import evaluate_policy

_EPISODIC = ("morl/building", "morl/minecart", "morl/brax")  # with archives, beside the finite tasks
TOLERANCE = 1e-4  # of the size of a bound, for float32 values that the run went by


class Row(NamedTuple):
    """Certificate of one archive; the gaps are shares of a hypervolume, NaN beyond three objectives."""

    task: str
    stage: str
    seed: int
    members: int
    hypervolume: float
    """Of the exact returns of the members, in float64."""
    error: float
    """Largest difference between exact and archived returns."""
    pareto_gap: float
    """1 - HV(members) / HV(deterministic front), negative where stochastic policies reach more."""
    hull_gap: float
    """1 - HV(members) / HV(mixtures of the deterministic front)."""
    loss: float
    """Largest loss of utility against the exact front."""
    worst: tuple[float, ...]
    """The preference with that loss."""
    extended: int
    """Members that come from an extension."""
    kept: int
    """Those of them that keep every bound."""


def certify(folder: RunFolder) -> list[Row]:
    """One row per archive of the run, by task, stage and seed; raises `UsageError` where there is none."""
    paths = sorted((folder.path / "archives").glob("*.npz"))
    if not paths:
        raise UsageError(f"{folder.path}: holds no archives; run morl/discrete_suite")
    problems: dict[str, Finite] = {}
    rows = []
    for path in paths:
        task, stage, seed = path.stem.split("--")
        if task not in problems:
            problems[task] = finite(task)
        rows.append(_row(folder, task, stage, int(seed), problems[task]))
    return sorted(rows, key=lambda row: row[:3])


def stored(folder: RunFolder, task: str, stage: str, seed: int, found: Finite) -> tuple[Entries, np.ndarray]:
    """`(members, tables)` of one archive of a run; tables are probabilities float64[n, S, A]."""
    record = found.task.record() | {"task": task, "stage": stage, "seed": seed}
    nets = networks(learner(setting(task), 1), found.env)

    def empty(key: Key) -> archives.Archive:
        policy = {"params": nets.init(key), "moments": (), "scale": ()}
        return archives.empty(policy, len(found.task.reference), folder.config["capacity"])

    like = jax.eval_shape(empty, jax.random.key(0))
    path = folder.path / "archives" / f"{task}--{stage}--{seed}.npz"
    members = archives.members(archives.load(path, like, json.loads(json.dumps(record))))
    return members, tables(found, nets, members)


def _row(folder: RunFolder, task: str, stage: str, seed: int, found: Finite) -> Row:
    members, policies = stored(folder, task, stage, seed, found)
    exact = np.array([evaluate_policy(found.exact, pi).j for pi in policies])
    z = np.asarray(found.task.reference)
    gap = hull = float("nan")
    if len(z) < 4:
        gap = 1 - hypervolume(exact, z).value / hypervolume(found.front, z).value
        hull = hull_gap(exact, found.front, z)
    worst = maximum_utility_loss(exact, found.front)
    new = members.objective >= 0
    size = np.maximum(1, np.abs(np.where(np.isfinite(members.bounds), members.bounds, 0)))
    slack = exact - members.bounds + TOLERANCE * size
    return Row(
        task=task,
        stage=stage,
        seed=seed,
        members=len(exact),
        hypervolume=hypervolume(exact, z).value,
        error=float(np.abs(exact - members.returns).max()),
        pareto_gap=gap,
        hull_gap=hull,
        loss=worst.loss,
        worst=tuple(float(x) for x in worst.weights),
        extended=int(new.sum()),
        kept=int((slack >= 0).all(-1)[new].sum()),
    )


def tables(found: Finite, nets: Any, members: Entries) -> np.ndarray:
    """Probabilities float64[n, S, A] of the members' policies, as the task evaluates them."""
    states = jnp.eye(found.mdp.n_states)
    logits = jax.vmap(lambda params: nets.actor.apply(params["actor"], states))(members.policy["params"])
    logits = np.asarray(logits, np.float64)
    if found.task.evaluation == "greedy":
        return np.eye(logits.shape[-1])[logits.argmax(-1)]
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def write(folder: RunFolder) -> list[Row]:
    """Writes certificate.json and certificate.md into the run folder."""
    rows = certify(folder)
    if folder.writes:
        records = [_plain(row) for row in rows]
        atomic_write(folder.path / "certificate.json", json.dumps(records, indent=1, allow_nan=False) + "\n")
        atomic_write(folder.path / "certificate.md", text(rows))
    return rows


def text(rows: list[Row]) -> str:
    """The certificate as a Markdown table."""
    head = ("task", "stage", "seed", "members", "hypervolume", "Pareto gap", "hull gap", "largest loss")
    head = (*head, "at preference", "bounds kept")
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        worst = ", ".join(f"{w:.3f}" for w in row.worst)
        lines.append(
            f"| {row.task} | {row.stage} | {row.seed} | {row.members} | {row.hypervolume:.4f} |"
            f" {share(row.pareto_gap)} | {share(row.hull_gap)} | {row.loss:.4f} | ({worst}) |"
            f" {row.kept} of {row.extended} |"
        )
    return "\n".join(lines) + "\n"


def _plain(row: Row) -> dict[str, Any]:
    found = row._asdict()
    return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in found.items()}


def _certificate(folder: RunFolder) -> str:
    """The certificate of a run of any experiment that stores archives."""
    if folder.experiment == "morl/discrete_suite":
        return text(certify(folder))
    if folder.experiment not in _EPISODIC:
        known = ", ".join(("morl/discrete_suite", *_EPISODIC))
        raise UsageError(
            f"{folder.path}: a run of {folder.experiment} stores no archives; name one of {known}"
        )
    config = config_from_dict(episodic.Config, folder.config)
    return episodic_certificate.text(episodic_certificate.certify(folder, config))


def main(arguments: list[str]) -> int:
    """Prints the certificate of the run folder that is named; the exit status."""
    if len(arguments) != 1:
        print("usage: python -m experiments.morl.certificate RUN", file=sys.stderr)
        return 2
    try:
        print(_certificate(RunFolder.open(arguments[0])), end="")
    except JaxrlError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
