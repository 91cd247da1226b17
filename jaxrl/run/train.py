"""The driver: one compiled program of updates, and a host loop that logs, evaluates, saves and stops.

A run is a population of `B` members; a solo run has `B = 1`. Legend: `L` log points. The host decides how
many updates run between two looks at the clock; results do not depend on it, because logging, evaluation
and checkpoint points are fixed by the schedule, and the program is the same for every count.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import shlex
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import NumericalFailure, Preempted, UsageError
from jaxrl.core.fields import Size, check_numbers, check_value
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Algorithm, Array, PyTree
from jaxrl.run import contract, debug, distributed, guard, lanes, records, signals, terminal
from jaxrl.run.checkpoint import MANIFEST, Checkpoints, CorruptCheckpoint, refuse_differences
from jaxrl.run.folder import RunFolder
from jaxrl.run.log import CacheHits, Clock, Heartbeat, History, Pace, Reporter, averages, member_values
from jaxrl.run.population import Evaluate, Members, Population

OnNonFinite = Literal["freeze", "stop", "ignore"]
LOG_POINTS = 200  # unless the caller says otherwise
CHECKPOINTS = 10
CALL_S = 1.0  # aim between two looks of the host: short enough for a signal, long enough to cost nothing


class Trained(NamedTuple):
    """The result of a stage.

    state: leaves `[B, ...]`. history: name -> float32[L, B, ...], NaN where a number is absent or not finite.
    update: int[L], how many updates were done at each log point. first_bad: quantity -> int[B], index of the
    first update that made it non-finite, -1 if none did.
    """

    state: PyTree
    history: dict[str, np.ndarray]
    update: np.ndarray
    first_bad: dict[str, np.ndarray]

    @property
    def diverged(self) -> np.ndarray:
        """Members of which any quantity was not finite, bool[B]."""
        return np.any(np.stack(list(self.first_bad.values())) >= 0, axis=0)


@dataclass(frozen=True)
class Schedule:
    """The updates after which a run logs, evaluates and saves, however they are grouped into calls."""

    updates: int
    log_every: int
    eval_every: int | None
    checkpoint_every: int | None

    def logs(self, update: int) -> bool:
        """Whether metrics are recorded after `update` updates."""
        return update % self.log_every == 0 or update == self.updates or self.evaluates(update)

    def evaluates(self, update: int) -> bool:
        """Whether members are evaluated after `update` updates."""
        return update == self.updates or (self.eval_every is not None and update % self.eval_every == 0)

    def saves(self, update: int) -> bool:
        """Whether a checkpoint is due after `update` updates."""
        every = self.checkpoint_every
        return every is not None and (update == self.updates or update % every == 0)

    def following(self, update: int) -> int:
        """The next update count, after `update`, at which any of them happens."""
        periods = [p for p in (self.log_every, self.eval_every, self.checkpoint_every) if p is not None]
        return min(self.updates, *(update + p - update % p for p in periods))


def train(
    algorithm: Algorithm,
    keys: Array,
    hypers: PyTree,
    data: PyTree,
    *,
    updates: int,
    folder: RunFolder | None = None,
    stage: str = "train",
    evaluate: Evaluate | None = None,
    eval_every: int | None = None,
    log_every: int | None = None,
    checkpoint_every: int | None = None,
    lane: lanes.Lane | None = None,
    devices: Sequence[Any] | None = None,
    work: int | None = None,
    on_nonfinite: OnNonFinite = "freeze",
    shared_data: bool = True,
    env_steps_per_update: int | None = None,
    chunk: int | None = None,
    progress: bool = True,
    labels: Sequence[str] | None = None,
    float64: bool = False,
) -> Trained:
    """Trains `B` members for `updates` updates each; with a folder, continues where its checkpoints end.

    keys: `[B]` typed. hypers: leaves `[B, ...]`. data: shared, or leaves `[B, ...]` with `shared_data=False`.
    evaluate: `(key, state, hyper, data) -> dict of arrays` for one member, at multiples of `eval_every` and
        at the end; its key depends on the member and the update only.
    log_every: metrics are averaged over that many updates (default: 200 log points).
    checkpoint_every: default ten checkpoints where there is a folder.
    lane: members that run as one batch, at most `B`, or "auto": 1 on CPUs, on accelerators as many as fit
        (`jaxrl.run.lanes`). The default is the lane of the folder, which stands in its record, or "auto"
        without a folder. What was chosen is kept when a run is resumed. Results depend on it, and not on how
        many devices there are, from two on (on a CPU, set `jax_num_cpu_devices` to two or more before jax is
        first used).
    devices: those that are used, all by default.
    chunk: fixed number of updates between two looks of the host (default: about 1 s).
    on_nonfinite: "freeze" stops a diverged member and goes on with the others, "stop" raises
        NumericalFailure at once, "ignore" only reports. Inside `folder.session()` frozen members make the
        session end with NumericalFailure, after everything was saved; elsewhere read `Trained.first_bad`.
    work: number of devices that share one member, for an algorithm made with `axis=jaxrl.core.spmd.WORK`,
        which the command line may change (`--work`); None for other algorithms. What was used is kept when a
        run is resumed. The whole state of the algorithm has to be the same on all of them, as that of an
        evolution strategy that gathers its scores. PPO, SAC and TD3 take an `axis` too, but split their
        environments over it: they need `jaxrl.core.spmd.data_parallel`. Results of algorithms that gather
        do not depend on it; those that average gradients agree up to rounding.
    labels: what to call the members in messages.
    float64: whether the run computes in double precision. It has to be what jax is set to: a float64 run is
        made inside `jax.enable_x64(True)`, its keys, hypers and data too. Part of the run's identity; metrics
        stay float32.

    Raises UsageError for what cannot be run, CorruptCheckpoint, StorageError, and Preempted after SIGTERM or
    SIGINT with a verified checkpoint.
    """
    updates = check_value("updates", updates, Size)
    counts = {"log_every": log_every, "eval_every": eval_every, "checkpoint_every": checkpoint_every}
    for name, value in (*counts.items(), ("chunk", chunk)):
        check_value(name, value, Size | None)
    _check_options(folder, evaluate, eval_every, checkpoint_every, on_nonfinite)
    _check_precision(float64)
    check_hypers(hypers)
    if folder is not None:
        folder.writes = distributed.is_primary()
        checkpoint_every = checkpoint_every or _per(updates, CHECKPOINTS)
    schedule = Schedule(updates, log_every or _per(updates, LOG_POINTS), eval_every, checkpoint_every)
    size, work = _size(keys), _work(work, folder, stage)

    def members_in(width: int) -> Members:
        population = Population.create(size, width, devices, work)
        freeze = on_nonfinite == "freeze"
        return Members(algorithm, evaluate, population, keys, hypers, data, shared_data, freeze)

    with contextlib.ExitStack() as stack:
        stack.enter_context(distributed.no_mesh())
        asked = _lane(lane, folder, stage)
        members = members_in(1 if asked == "auto" else min(asked, size))
        _check_by_algorithm(algorithm, hypers, data, size, shared_data)
        if asked == "auto" and (width := _choose_lane(members)) > 1:
            members = members_in(width)
        names = list(labels) if labels is not None else [f"seed {i}" for i in range(size)]
        driver = _Driver(members, schedule, folder, stage, on_nonfinite, env_steps_per_update, names, float64)
        if folder is not None and folder.debug_nan:
            driver.replay(folder.resume_from)
        if folder is not None and not folder.in_session:
            stack.enter_context(folder.session())
            stack.callback(folder.failures.clear)  # `first_bad` tells the caller, who is right here
        trained = driver.run(chunk, progress)
        driver.review(algorithm, trained)
        if folder is not None:
            folder.trained(stage, algorithm, hypers, trained.state)
        return trained


class _Call(NamedTuple):
    """A dispatched call whose results the host has not looked at yet."""

    update: int
    count: int
    window: guard.Window
    evaluated: dict[str, Array] | None


class _Driver:
    """One stage: members, schedule, and the records that the host keeps."""

    def __init__(
        self,
        members: Members,
        schedule: Schedule,
        folder: RunFolder | None,
        stage: str,
        on_nonfinite: OnNonFinite,
        env_steps: int | None,
        labels: list[str],
        float64: bool,
    ) -> None:
        self.members, self.schedule, self.folder, self.stage = members, schedule, folder, stage
        self.on_nonfinite, self.env_steps, self.labels = on_nonfinite, env_steps, labels
        self.float64 = float64
        self.messages: dict[int, str] = {}
        self.history, self.clock, self.pace = History(), Clock(), Pace()
        self.logged = records.Digest()  # what checkpoints rely on, beside their own files
        say = terminal.say if folder is None else folder.say
        together = None if env_steps is None else env_steps * members.population.size
        self.reporter = Reporter(say, stage, schedule.updates, together)
        self.heartbeat = Heartbeat(folder, self.reporter.line)
        self.checkpoints = None
        if folder is not None:
            self.checkpoints = Checkpoints(folder.checkpoints / stage, say=self.reporter.line)

    # ----------------------------------------------------------------------------------------- the loop

    def run(self, chunk: int | None, progress: bool) -> Trained:
        """The whole stage, from its last checkpoint or from the start."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.reporter.running(progress))
            stop = signals.Stop()
            if self.folder is not None:
                stop = stack.enter_context(signals.catch(self.folder.say))
            if self.members.population.mesh.size == 1:
                self.reporter.line("warning: one device; the last bits differ from those of two or more")
            update, state, window = self.resume() or (0, None, None)
            state, window = self.loop(update, state, window, stop, chunk)
        if self.folder is not None and self.on_nonfinite != "ignore":
            self.folder.failures.extend(self.messages.values())
        update, history = self.history.arrays()
        first_bad = self.members.fetch(window.first_bad)
        return Trained(self.members.population.drop(state), history, update, first_bad)

    def review(self, algorithm: Algorithm, trained: Trained) -> None:
        """Pass on a warning of the algorithm's, of the first member that has one."""
        found = {}
        for member in _members(~trained.diverged):
            text = algorithm.review({name: x[:, member] for name, x in trained.history.items()})
            if text is not None:
                found[member] = text
        if found:
            first, more = min(found), len(found) - 1
            others = f" and {more} more" if more else ""
            self.reporter.line(f"warning: {self.labels[first]}{others}: {found[first]}")

    def loop(
        self, update: int, state: PyTree, window: guard.Window | None, stop: signals.Stop, chunk: int | None
    ) -> tuple[PyTree, guard.Window]:
        """Calls of `advance` up to the last update; the host looks at one call while the next one runs."""
        schedule, members = self.schedule, self.members
        pending: _Call | None = None
        compiled, stride = False, 0
        self.started = time.monotonic()
        with CacheHits() as cache:
            if update < schedule.updates:
                self.reporter.line("compiling")
                self.reporter.now("compiling")
            if state is None or window is None:
                state = members.init()
                window = members.empty_window(state)
            while update < schedule.updates:
                stride = chunk or self.stride(stride)
                count = min(schedule.following(update) - update, stride)
                before = None if compiled else contract.Marks.of(state)
                state, window = members.advance(state, window, count, fresh=schedule.logs(update))
                update += count
                if before is not None:
                    self.check(before, state, window, count)
                    self.reporter.line(f"{cache.describe()} in {time.monotonic() - self.started:.1f} s")
                    compiled, self.started = True, time.monotonic()
                evaluated = members.evaluate(state, update) if schedule.evaluates(update) else None
                self.look(pending)
                pending = _Call(update, count, window, evaluated)
                stopping = distributed.agree(stop.signal or 0)
                if stopping or schedule.saves(update):
                    self.look(pending)
                    pending = None
                    self.save(update, state, window)
                if stopping:
                    raise self.preempted(update, stopping)
            self.look(pending)
        stopping = distributed.agree(stop.signal or 0)
        if stopping:  # came after the last look at it: the next stage must not begin
            raise self.preempted(update, stopping)
        return state, window

    def check(self, before: contract.Marks, state: PyTree, window: guard.Window, count: int) -> None:
        """Raises UsageError where the first call shows an algorithm that `contract` does not allow."""
        fetch = self.members.fetch
        kept = ~guard.diverged(fetch(window.first_bad)) | (self.on_nonfinite != "freeze")
        after = contract.Marks.of(state)
        contract.check_updates(self.members.algorithm, fetch(before), fetch(after), count, kept)
        if (self.members.population.work or 1) > 1:
            contract.check_copies(state)

    def stride(self, last: int) -> int:
        """How many updates to dispatch at once, so that a call takes about `CALL_S`; grows step by step."""
        if distributed.several():
            return self.schedule.updates  # every process must cut the run in the same places
        if self.pace.seconds is None:
            return 1
        return max(1, min(4 * last, int(CALL_S / max(self.pace.seconds, 1e-9))))

    def look(self, call: _Call | None) -> None:
        """Waits for a call; records a log point, members that diverged, and progress."""
        if call is None:
            return
        window: guard.Window = self.members.fetch(call.window)
        now = time.monotonic()
        self.pace.add(call.count, now - self.started)
        self.started = now
        self.note_diverged(window.first_bad)
        values: dict[str, Any] = {}
        if self.schedule.logs(call.update):
            values = self.record(call, window)
        self.reporter.progress(call.update, self.pace, len(self.messages), values)
        self.heartbeat.beat(update=call.update, updates_total=self.schedule.updates, stage=self.stage)
        if self.messages and self.on_nonfinite == "stop":
            raise NumericalFailure("\n".join(self.messages.values()))

    def record(self, call: _Call, window: guard.Window) -> dict[str, Any]:
        """One line of metrics.jsonl and one row of the history."""
        values, bad = averages(window.metrics, self.members.step.names)
        if call.evaluated is not None:
            found = self.members.fetch(call.evaluated)
            frozen = guard.diverged(window.first_bad) if self.on_nonfinite == "freeze" else None
            for name, x in found.items():
                if name in values:
                    raise UsageError(f"evaluate: {name!r} is also a training metric; rename one of them")
                values[name], broken = member_values(x, frozen)
                bad += [name] if broken else []
        record: dict[str, Any] = {"stage": self.stage, "update": call.update}
        if self.env_steps is not None:
            record["env_steps"] = call.update * self.env_steps
        record |= self.clock.read() | values
        self.history.add(record)
        if self.folder is not None:
            self.logged.add(self.folder.log(record | ({"nonfinite": bad} if bad else {})))
        return values

    # -------------------------------------------------------------------------------------- divergence

    def note_diverged(self, first_bad: dict[str, np.ndarray]) -> None:
        """Says once per member which quantity broke first, and how to look into it."""
        for member in _members(guard.diverged(first_bad)):
            if member in self.messages:
                continue
            name, update = self.first_broken(first_bad, member)
            run = self.stage if self.folder is None else self.folder.experiment
            text = f"NonFinite: run {run}, {self.labels[member]}: '{name}' at update {update}"
            if self.env_steps is not None:
                text += f" (env step {update * self.env_steps:,})".replace(",", " ")
            if self.checkpoints is not None:
                last = self.last_finite(update)
                start = "no finite checkpoint" if last is None else f"last finite checkpoint {last}"
                text += f"; {start}; replay with --debug-nan --from {last or 0}"
            self.messages[member] = text
            self.reporter.line(text)

    def first_broken(self, first_bad: dict[str, np.ndarray], member: int) -> tuple[str, int]:
        """Quantity and update; of several broken by one update, the one that the algorithm lists first."""
        order = [*self.members.step.names, *(n for n in first_bad if n not in self.members.step.names)]
        found = {name: int(first_bad[name][member]) for name in order if first_bad[name][member] >= 0}
        name = min(found, key=lambda n: found[n])
        return name, found[name]

    def last_finite(self, update: int) -> int | None:
        """The newest checkpoint taken before the update with index `update`."""
        steps = self.checkpoints.steps() if self.checkpoints is not None else []
        return max((s for s in steps if s <= update), default=None)

    def replay(self, start: int | str) -> None:
        """Runs diverged members again with float checks and raises NumericalFailure with what they find.

        start: a checkpoint's step, 0 for the very start, or "latest" for each member's last finite one.
        Returns where no member of this stage diverged.
        """
        assert self.checkpoints is not None
        newest = self.checkpoints.choose("latest-good")
        suspects, found = range(self.members.population.size), {}
        if newest is not None:
            found = self.members.fetch(self.members.restore(self.checkpoints, *newest)[1].first_bad)
            suspects = _members(guard.diverged(found))
            if not suspects and newest[0] == self.schedule.updates:
                return
        reports = []
        for member in suspects or range(self.members.population.size):
            stop = self.first_broken(found, member)[1] + 1 if suspects and found else self.schedule.updates
            step = start if isinstance(start, int) else self.last_finite(stop - 1) or 0
            self.reporter.line(f"replaying {self.labels[member]} from update {step} with float checks")
            if step > 0:
                chosen = self.checkpoints.choose(step)
                assert chosen is not None
                state, _ = self.members.restore(self.checkpoints, *chosen)
            else:
                state = self.members.init()
            reason = debug.find_nonfinite(self.members, state, member, step, stop)
            reports += [f"{self.labels[member]}: {reason}"] if reason else []
        raise NumericalFailure("\n".join(reports) or f"replay of {self.stage}: every number was finite")

    # ------------------------------------------------------------------------------ checkpoint and resume

    def save(self, update: int, state: PyTree, window: guard.Window) -> None:
        """A checkpoint of all that the next update needs; keeps the last finite one of diverged members."""
        if self.checkpoints is None or self.folder is None:
            return
        self.folder.sync_metrics()
        drop = self.members.population.drop
        first_bad = self.members.fetch(window.first_bad)
        diverged = guard.diverged(first_bad)
        protect = {self.last_finite(self.first_broken(first_bad, m)[1]) for m in _members(diverged)}
        finite = {} if diverged.any() else guard.parameters(state)
        self.checkpoints.save(
            update,
            drop({"state": state, "window": window}),
            {"identity": self.identity, "diverged": _members(diverged), "metrics": self.logged.read()},
            finite=finite,
            protect=frozenset(s for s in protect if s is not None),
        )
        self.heartbeat.beat(force=True, update=update, updates_total=self.schedule.updates, stage=self.stage)

    def resume(self) -> tuple[int, PyTree, guard.Window] | None:
        """The chosen checkpoint as `(update, state, window)`, records rewound to it; None at a start."""
        if self.folder is None or self.checkpoints is None:
            return None
        folder = self.folder
        found = self.checkpoints.choose(
            folder.resume_from, lambda step, manifest: folder.check_history(self.stage, step, manifest)
        )
        step = None if found is None else found[0]
        if found is not None:
            self.compare(*found)
        self.describe_devices()
        self.checkpoints.discard_after(step)
        past = folder.rewind_metrics(self.stage, step or 0)
        for record in past:
            self.history.add(record)
        self.logged = records.metrics_digest(past)
        last = folder.read_metrics()[-1:]
        if last and "wall_s" in last[0] and "cpu_s" in last[0]:
            self.clock = Clock(last[0]["wall_s"], last[0]["cpu_s"])
        if found is None:
            return None
        state, window = self.members.restore(self.checkpoints, *found)
        self.note_diverged(self.members.fetch(window.first_bad))
        self.reporter.line(f"continuing after update {step} of {self.schedule.updates}")
        return found[0], state, window

    def compare(self, step: int, manifest: dict[str, Any]) -> None:
        """Raises UsageError naming the fields in which this run is not the one of the checkpoint.

        Programs are compared only where the same jax traced them.
        """
        made_with, own = manifest["meta"].get("identity"), self.identity
        if not isinstance(made_with, dict):
            raise CorruptCheckpoint(step, MANIFEST, "the identity of a run", repr(made_with))
        if made_with.get("float64", False) != self.float64:
            raise UsageError(
                f"float64: checkpoint {step} of {self.stage} was made with float64={not self.float64};"
                " continue it so, or start a new run"
            )
        made_by = manifest["versions"].get("jax")
        if made_by != jax.__version__:
            self.reporter.line(
                f"warning: checkpoint {step} was made with jax {made_by}; whether the algorithm is the same"
                " is told by its configuration alone"
            )
        what = f"{self.stage}: what checkpoint {step} was made with"
        named = ({k: v for k, v in x.items() if k != "program"} for x in (made_with, own))
        refuse_differences(what, *named)
        if made_by == jax.__version__:
            refuse_differences(what, made_with, own)

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the results of this stage; checkpoints continue only equal runs."""
        config = {} if self.folder is None else self.folder.config
        schedule = dataclasses.asdict(self.schedule)
        del schedule["checkpoint_every"]  # decides what is kept, not what is computed
        own = {"config": config, "on_nonfinite": self.on_nonfinite, "env_steps_per_update": self.env_steps}
        precision = {"float64": True} if self.float64 else {}
        return own | precision | schedule | self.members.identity

    def preempted(self, update: int, number: int) -> Preempted:
        """The error that ends a run stopped by a signal, after its checkpoint was read back."""
        assert self.checkpoints is not None and self.folder is not None
        self.checkpoints.verify(update)
        name = signal.Signals(number).name
        return Preempted(
            f"stopped by {name} after update {update}; checkpoint verified; continue with "
            f"`jaxrl resume {shlex.quote(str(self.folder.path))}`",
            number,
        )

    def describe_devices(self) -> None:
        """Adds to meta.json what only jax knows."""
        assert self.folder is not None
        meta, population = self.folder.meta, self.members.population
        shared = {} if population.work is None else {self.stage: population.work}
        self.folder.update_meta(
            backend=jax.default_backend(),
            devices=[str(d) for d in population.mesh.devices.flat],
            processes=jax.process_count(),
            x64=self.float64,
            prng_impl=str(jax.random.key_impl(self.members.keys)),
            lane={**meta.get("lane", {}), self.stage: population.lane},
            **({"work": {**meta.get("work", {}), **shared}} if shared else {}),
        )


def _check_options(
    folder: RunFolder | None,
    evaluate: Evaluate | None,
    eval_every: int | None,
    checkpoint_every: int | None,
    on_nonfinite: str,
) -> None:
    if on_nonfinite not in get_args(OnNonFinite):
        raise UsageError(f"on_nonfinite: {on_nonfinite!r} is none of {', '.join(get_args(OnNonFinite))}")
    if folder is None and checkpoint_every is not None:
        raise UsageError(
            "checkpoint_every: there is no folder to write to; give folder=RunFolder.create(...)"
        )
    if evaluate is None and eval_every is not None:
        raise UsageError("eval_every: there is nothing to evaluate; give evaluate=...")


def _check_precision(float64: bool) -> None:
    on = jax.config.read("jax_enable_x64")
    if not isinstance(float64, bool):
        raise UsageError(f"float64: must be True or False, got {float64!r}")
    if float64 and not on:
        raise UsageError(
            "float64: declared, but jax computes in float32; enter `with jax.enable_x64(True)` before keys,"
            " hypers and data are made"
        )
    if on and not float64:
        raise UsageError(
            "jax_enable_x64: is on, but the run does not declare it; pass float64=True, or switch it off"
        )


def _check_by_algorithm(
    algorithm: Algorithm, hypers: PyTree, data: PyTree, size: int, shared_data: bool
) -> None:
    """The algorithm's own checks of the data, and of each member's hyper-parameters beside its data."""
    own = [data] if shared_data else [tree_take(data, i) for i in range(size)]
    for part in own:
        algorithm.check(part)
    if algorithm.check_hyper is not None:
        for i in range(size):
            algorithm.check_hyper(tree_take(hypers, i), own[0] if shared_data else own[i])


def _lane(lane: lanes.Lane | None, folder: RunFolder | None, stage: str) -> lanes.Lane:
    """The lane that a stage began with, else the one that was asked for."""
    asked = lanes.checked(lane if lane is not None else "auto" if folder is None else folder.lane)
    if folder is None or asked != "auto":
        return asked
    return lanes.stored(folder.meta, stage) or asked


def _work(work: int | None, folder: RunFolder | None, stage: str) -> int | None:
    """How many devices share a member, as told by the command line, the run's record or the caller."""
    work, asked = lanes.checked_work(work), None if folder is None else lanes.checked_work(folder.work)
    if asked is not None and work is None:
        raise UsageError(
            "work: the algorithm of this experiment does not share the work of a member among devices; leave"
            " --work out"
        )
    if asked is None and work is not None and folder is not None:
        asked = lanes.stored(folder.meta, stage, "work")
    return work if asked is None else asked


def _choose_lane(members: Members) -> int:
    """The width that "auto" stands for, the same in every process."""
    population = members.population
    device = jax.local_devices()[0]
    memory = lanes.device_memory(device)
    width = lanes.auto(population.size, population.groups, device.platform, memory, members.memory)
    return -distributed.agree(-width)


def check_hypers(hypers: PyTree, name: str | None = None) -> None:
    """Raise UsageError for the first hyper-parameter outside of its declared range, nested ones too."""
    if isinstance(hypers, dict):
        for key, inner in hypers.items():
            check_hypers(inner, f"hypers[{key!r}]")
    elif isinstance(hypers, tuple | list):
        for i, inner in enumerate(hypers):
            check_hypers(inner, f"hypers[{i}]")
    elif dataclasses.is_dataclass(hypers) and not isinstance(hypers, type):
        name = type(hypers).__name__ if name is None else name
        check_numbers(hypers, name)
        for field in dataclasses.fields(hypers):
            check_hypers(getattr(hypers, field.name), f"{name}.{field.name}")


def _size(keys: Array) -> int:
    if not isinstance(keys, jax.Array) or not jnp.issubdtype(keys.dtype, jax.dtypes.prng_key):
        raise UsageError("keys: must be typed, from jax.random.key; member_keys(seed, seeds) makes them")
    if keys.ndim != 1 or keys.shape[0] < 1:
        raise UsageError(
            f"keys: shape {keys.shape} is not [B] with B >= 1; member_keys(seed, seeds) makes them"
        )
    return keys.shape[0]


def _members(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask).tolist()


def _per(updates: int, points: int) -> int:
    """The period that gives about `points` points, never more."""
    return -(-max(updates, 1) // points)
