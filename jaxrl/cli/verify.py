"""`jaxrl verify RUN`: the hashes of a run, and a replay of its last updates that must have equal bits.

Every checkpoint is hashed against its manifest. Then a copy of the run, without the last checkpoint of each
stage, is resumed from the one before it and trained to the end again; its final state, its result and its
metrics must have the same bits as those on disk. A stage with a single checkpoint is repeated from its start.
"""

from __future__ import annotations

import contextlib
import shutil
from types import ModuleType
from typing import Any

import numpy as np

from jaxrl.cli.execution import precision, scratch_copy, stage_checkpoints
from jaxrl.core.errors import CorruptInput, NumericalFailure
from jaxrl.run.checkpoint import Checkpoints
from jaxrl.run.folder import RunFolder, installed_versions

TIMES = ("wall_s", "cpu_s")  # the only numbers that two equal runs do not share
_KEYS = {"key<fry>": "threefry2x32", "key<rbg>": "rbg", "key<urbg>": "unsafe_rbg"}


def verify(module: ModuleType, config: Any, folder: RunFolder) -> dict[str, Any]:
    """Counts of what was checked; `CorruptInput` names the first thing that differs.

    A run without a result is checked for damage only: `replayed` is then None.
    """
    stages = stage_checkpoints(folder)
    manifests = []
    for stage, checkpoints in stages.items():
        for step in checkpoints.steps():
            manifests.append(checkpoints.verify(step))
            folder.check_history(stage, step, manifests[-1])
    facts: dict[str, Any] = {
        "run": str(folder.path),
        "checkpoints": len(manifests),
        "files": sum(len(m["files"]) for m in manifests),
        "replayed": None,
        "leaves": 0,
        "arrays": 0,
    }
    if not (folder.path / "result.npz").exists():
        return facts
    result = folder.load_result()
    with scratch_copy(folder) as copy, precision(config):
        facts["replayed"] = _drop_last(copy)
        # members that diverged in the run diverge again, after everything was saved
        with contextlib.suppress(NumericalFailure), copy.session():
            module.run(config, copy)
        hint = _version_hint(folder)
        facts["arrays"] = _compare(f"{folder.path / 'result.npz'}", result, copy.load_result(), hint)
        _compare_metrics(folder, copy, hint)
        again = stage_checkpoints(copy)
        for stage, checkpoints in stages.items():
            step = checkpoints.steps()[-1]
            old, new = final_arrays(checkpoints, step), final_arrays(again[stage], step)
            facts["leaves"] += _compare(f"checkpoint {stage}/{step}", old, new, hint)
    return facts


def sentence(facts: dict[str, Any]) -> str:
    """The sentence that says what was verified."""
    hashed = f"verified: {facts['checkpoints']} checkpoints ({facts['files']} files) are intact"
    if facts["replayed"] is None:
        return f"{hashed}; the run has no result yet, nothing was replayed"
    return (
        f"{hashed}; {facts['replayed']} updates were repeated with equal bits"
        f" in {facts['leaves']} state arrays, {facts['arrays']} result arrays and all metrics"
    )


def final_arrays(checkpoints: Checkpoints, step: int) -> dict[str, np.ndarray]:
    """The stored arrays of a checkpoint by the name of their leaf; keys as the integers they are made of."""
    import jax
    import jax.numpy as jnp

    manifest = checkpoints.verify(step)
    names = [name for name, _, _ in manifest["tree"]]
    # a flat dict stands in for the state, whose classes need not be known here
    like = {f"{i:04d}": _struct(shape, dtype) for i, (_, shape, dtype) in enumerate(manifest["tree"])}
    flat = {
        **manifest,
        "tree": [[f"['{k}']", s, d] for k, (_, s, d) in zip(like, manifest["tree"], strict=True)],
    }
    leaves = checkpoints.restore(step, flat, like).values()
    plain = (jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x for x in leaves)
    return {name: np.asarray(x) for name, x in zip(names, plain, strict=True)}


def _struct(shape: list[int], dtype: str) -> Any:
    import jax

    kind = jax.random.key(0, impl=_KEYS[dtype]).dtype if dtype in _KEYS else np.dtype(dtype)
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(tuple(shape), kind, sharding=device)


def _drop_last(copy: RunFolder) -> int:
    """Deletes the last checkpoint of every stage; returns how many updates that undoes."""
    undone = 0
    for checkpoints in stage_checkpoints(copy).values():
        *earlier, last = checkpoints.steps()
        shutil.rmtree(checkpoints.folder / str(last))
        undone += last - (earlier[-1] if earlier else 0)
    return undone


def _compare(what: str, old: dict[str, np.ndarray], new: dict[str, np.ndarray], hint: str) -> int:
    """Number of arrays, all of them equal bit for bit."""
    for name in sorted({*old, *new} - set(TIMES)):
        a, b = old.get(name), new.get(name)
        if a is None or b is None:
            raise CorruptInput(
                f"{what}: {name} exists only in {'the run' if b is None else 'its replay'}{hint}"
            )
        if (a.dtype, a.shape, a.tobytes()) != (b.dtype, b.shape, b.tobytes()):
            raise CorruptInput(f"{what}: {name} differs from the replay{hint}")
    return len(old)


def _compare_metrics(folder: RunFolder, copy: RunFolder, hint: str) -> None:
    old, new = (
        [
            {k: v for k, v in r.items() if k not in TIMES}
            # a stage that is replayed writes its last lines after those of the other stages
            for r in sorted(f.read_metrics(), key=lambda r: (r["stage"], r["update"]))
        ]
        for f in (folder, copy)
    )
    for a, b in zip(old, new, strict=False):
        if a != b:
            raise CorruptInput(
                f"{folder.path / 'metrics.jsonl'}: update {a['update']} differs from the replay{hint}"
            )
    if len(old) != len(new):
        raise CorruptInput(
            f"{folder.path / 'metrics.jsonl'}: {len(old)} lines, the replay has {len(new)}{hint}"
        )


def _version_hint(folder: RunFolder) -> str:
    """The versions that differ from those of the run, in brackets; equal bits need equal versions."""
    made, now = folder.meta.get("versions", {}), installed_versions()
    other = [f"{n} {made[n]}, now {now.get(n)}" for n in made if made[n] != now.get(n)]
    return f" (made with {'; '.join(other)})" if other else ""
