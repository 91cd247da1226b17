"""The benchmark of set functions at tiny sizes: it counts what it says; no test asserts a time."""

import jax
import numpy as np
import pytest

from benchmarks.measure import Clock
from benchmarks.submodular import gains, instances, worker


@pytest.mark.parametrize(
    "what",
    [pytest.param(w, marks=() if w == "facility-lazy" else pytest.mark.slow) for w in instances.WHAT],
)
def test_both_precisions_choose_what_a_loop_chooses(what):
    n, k = 60, 6
    if what == "feature-naive":
        data = instances.features(n)

        def value(items):
            return np.sqrt(data[items].sum(0)).sum()
    else:
        data = instances.similarity(n)

        def value(items):
            return data[items].max(0).sum()

    chosen = []
    for _ in range(k):
        chosen.append(max(set(range(n)) - set(chosen), key=lambda i: value([*chosen, i])))
    for wide in (False, True):
        with jax.enable_x64(wide):
            run, params, _ = worker.program(what, n, k)
            found = run(params)
        assert np.asarray(found.index).tolist() == chosen
    assert instances.digest(found.index) == instances.digest(chosen)
    assert instances.digest(chosen[::-1]) != instances.digest(chosen)


def test_ratios_are_theirs_over_ours_by_round():
    clocks = [[Clock(1.0, 2.0), Clock(2.0, 2.0)], [Clock(3.0, 3.0)] * 2, [Clock(4.0, 4.0), Clock(4.0, 9.0)]]
    entries = gains.summarise("x", "60 items, 6 chosen", clocks, ["a 0.1", "a 0.2", "a 1.7"])
    assert [entry.value for entry in entries] == [1.5, 3, 4, 3]
    assert entries[-1].rounds == (4, 2) and entries[-1].floor == 1
    with pytest.raises(SystemExit, match="selections differ"):
        gains.summarise("x", "", clocks, ["a 0", "b 0", "a 0"])


def test_fold_reports_every_function():
    entries = gains.fold(rounds=1, envs=2, length=3)
    assert len(entries) == 3 and all(entry.value > 0 and entry.settings == "2 x 3" for entry in entries)
