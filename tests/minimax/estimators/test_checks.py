"""What every instrumental estimator refuses, and what its selections never take."""

import numpy as np
import pytest

from jaxrl.core.errors import NumericalFailure, UsageError
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.designs.record import Sample
from jaxrl.minimax.estimators import (
    agmm_net,
    checks,
    deep_gmm,
    dfiv,
    kernel_minimax,
    kiv,
    mmr,
    two_stage,
)
from jaxrl.run.sweep import member_keys

KEYS = member_keys(0, 1)


def _sample(x, z, y):
    return Sample(x, z, y, np.zeros(len(y)))


def _deep(module, config, *splits):
    return lambda x, z, y: lambda at: module.fit(config, KEYS, *[_sample(x, z, y)] * splits[0], at)[0]


ESTIMATORS = {
    "ols": lambda x, z, y: two_stage.ols(x, y),
    "tsls": two_stage.tsls,
    "poly2sls": lambda x, z, y: two_stage.poly2sls(x, z, y, degree=2),
    "plugin": lambda x, z, y: two_stage.poly2sls_plugin(x, z, y, degrees=(1,), ridges=(1e-3,)),
    "kernel_minimax": lambda x, z, y: kernel_minimax.kernel_minimax(x, z, y).predict,
    "kernel_minimax_cv": lambda x, z, y: kernel_minimax.kernel_minimax_cv(x, z, y, scales=(60.0,)).predict,
    "nystrom": lambda x, z, y: kernel_minimax.kernel_minimax_nystrom(x, z, y, scales=(60.0,), rank=8).predict,
    "kiv": lambda x, z, y: kiv.kiv(x, z, y, variant="matlab").predict,
    "mmr": lambda x, z, y: mmr.mmr_iv(x, z, y, lengths=(1.0,), ridges=(1e-3,)).predict,
    "deep_gmm": _deep(deep_gmm, deep_gmm.Config((2,), (2,), (1e-3,), epochs=2, every=2), 2),
    "agmm_net": _deep(agmm_net, agmm_net.Config(2, epochs=2, burn_in=0), 1),
    "dfiv": _deep(dfiv, dfiv.Config((2,), (2,), stage1_iter=1, epochs=1), 1),
}


@pytest.fixture(scope="module")
def small():
    """24 observations of zoo A."""
    return zoo("abs", "A").train.rows(slice(0, 24))[:3]


def _with(a, index, value):
    a = a.copy()
    a[index] = value
    return a


FAULTS = {
    r"y: must have shape \[n\], got \(24, 1\); use y\[:, 0\]": lambda x, z, y: (x, z, y[:, None]),
    r"x: must have shape \[n, columns\], got \(24,\); use x\[:, None\]": lambda x, z, y: (x[:, 0], z, y),
    r"x: must have shape \[n, columns\], got \(24, 0\)": lambda x, z, y: (x[:, :0], z, y),
    r"the same number of rows, two at least; got \[2[34], 2[34], 23\]": lambda x, z, y: (x, z, y[:-1]),
    r"two at least; got \[1, 1, 1\]": lambda x, z, y: (x[:1], z[:1], y[:1]),
    "y: must be an array of numbers": lambda x, z, y: (x, z, ["a"] * 24),
    "x: must be an array of numbers": lambda x, z, y: (x + 1j, z, y),
    "y: must be an array of": lambda x, z, y: (x, z, y.astype(str)),
    r"y: nan at index \(3,\); every number must be finite": lambda x, z, y: (x, z, _with(y, 3, np.nan)),
    r"x: inf at index \(5, 0\)": lambda x, z, y: (_with(x, 5, np.inf), z, y),
    "x: column 0 is constant and identifies nothing": lambda x, z, y: (0 * x + 1, z, y),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_refuses_what_it_cannot_use(name, small):
    fit = ESTIMATORS[name]
    at = np.zeros((5, 1))
    for message, change in FAULTS.items():
        with pytest.raises(UsageError, match=message):
            fit(*change(*small))(at)
    if name != "ols":
        with pytest.raises(UsageError, match="z: column 1 is constant and identifies nothing; drop it"):
            fit(small[0], _with(small[1], (slice(None), 1), 2.0), small[2])(at)
    with pytest.raises(UsageError, match=r"at: must have shape \[n, 1\], got \(5, 2\)"):
        fit(*small)(np.zeros((5, 2)))


@pytest.mark.parametrize("name", ["kiv", "mmr"])
def test_a_treatment_of_two_values_has_no_width(name, small):
    x, z, y = small
    with pytest.raises(UsageError, match="x: the median distance is 0, so a kernel has no width"):
        ESTIMATORS[name]((x > -1.5) * 1.0, z, y)


def test_lists_are_arrays(small):
    line = two_stage.tsls(*(a.tolist() for a in small))
    np.testing.assert_array_equal(line([[1.0]]), two_stage.tsls(*small)(np.ones((1, 1))))


def test_a_selection_takes_finite_scores_only():
    assert checks.smallest("loss", [[np.nan, 3.0], [-np.inf, 2.0]]) == 3
    with pytest.raises(NumericalFailure, match="loss: none of the 2 candidates has a finite score"):
        checks.smallest("loss", [np.nan, np.inf])


def test_overflowing_losses_are_not_selected(small):
    """Outcomes of 1e200 square to infinity in every stage."""
    x, z, y = small
    for fit in (
        lambda y: kernel_minimax.kernel_minimax_cv(x, z, y, scales=(1.0, 60.0)),
        lambda y: mmr.mmr_iv(x, z, y, lengths=(1.0,), ridges=(1e-3, 1e-2)),
        lambda y: kiv.kiv(x, z, y, variant="port"),
    ):
        with np.errstate(all="ignore"), pytest.raises(NumericalFailure, match="none of the"):
            fit(1e200 * y)


@pytest.mark.parametrize("name", ["deep_gmm", "agmm_net", "dfiv"])
def test_numbers_beyond_single_precision_are_refused(name, small):
    x, z, y = small
    with pytest.raises(UsageError, match="y: a number is too large for float32; standardise the data"):
        ESTIMATORS[name](x, z, 1e200 * y)(x)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_kernels_have_positive_settings(value, small):
    with pytest.raises(UsageError, match="gamma: "):
        kernel_minimax.kernel_minimax(*small, gamma=value)
    with pytest.raises(UsageError, match="ridges: "):
        kiv.kiv(*small, variant="port", ridges=(1.0, value))
