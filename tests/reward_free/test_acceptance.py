"""Runs through the driver: equal bits after interruptions in float64, certificates beside the adversary."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import hf, radii
from jaxrl.reward_free.features import form_of, parameter_of
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train
from tests.reward_free.mixtures import hashed, three_lock
from tests.run.interrupted import bits, killed_inside_a_save
from theory.exact import planning_error

CONFIG = hf.Config(horizon=4, episodes=10)


@dataclasses.dataclass(frozen=True)
class Record:
    """What the run folder holds."""

    float64: bool = True


def explored(mixture, config, horizons, c_beta, *, updates, **options):
    """Members of every horizon and multiplier, and their hyper-parameters."""
    bound = float(np.linalg.norm(mixture.theta))
    hyper = [hf.Hyper(horizon=H, c_beta=c, bound=bound) for H in horizons for c in c_beta]
    hypers = stack_hypers(hyper, 1)
    algorithm = hf.make(config, LinearMixture.of(mixture))
    out = train(
        algorithm,
        member_keys(3, len(hyper)),
        hypers,
        mixture,
        updates=updates,
        progress=False,
        float64=jax.config.read("jax_enable_x64"),
        **options,
    )
    return out, hypers


@pytest.mark.slow
def test_a_population_in_float64_interrupted_twice_has_the_bits_of_the_one_that_was_not(tmp_path):
    """Three members on four devices, two, and four; the first interruption is inside a save."""

    def run(devices, folder=None):
        every = None if folder is None else 1
        options = {"devices": jax.devices()[:devices], "folder": folder, "checkpoint_every": every}
        return explored(hashed(), CONFIG, (3, 4), (0.1, 0.5), updates=4, log_every=1, **options)[0].state

    with jax.enable_x64(True):
        expected = run(4)
        assert expected.regressions.gram.dtype == np.float64
        folder = RunFolder.create("reward_free/toy", Record(), tmp_path, "smoke")
        run(2, folder)
        for done, devices in ((1, 4), (2, 2)):
            killed_inside_a_save(folder, done)
            assert bits(run(devices, folder)) == bits(expected)
    assert folder.meta["x64"] is True
    with pytest.raises(UsageError, match="was made with float64=True; continue it so"):
        run(2, folder)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "H", "refuted"), [(hashed, 4, True), (three_lock, 5, False)])
def test_certificates_of_covered_radii_hold_and_uncovered_ones_may_be_refuted(make, H, refuted):
    """Plans are made anew from the last Gram matrices, where coverage is asked; the lock refutes none."""
    with jax.enable_x64(True):
        mixture = make()
        config = hf.Config(horizon=H, episodes=100)
        out, hypers = explored(mixture, config, (H,), (0.01, 0.02, 0.1, 0.5, 1.0, 2.0), updates=2)
        form, true = form_of(mixture), parameter_of(mixture)
        P = np.asarray(mixture.phi @ mixture.theta)
        verdicts = []
        for i in range(6):
            state, hyper = jax.tree.map(lambda x: x[i], (out.state, hypers))  # noqa: B023
            beta = hf.radius(config, form, hyper, state.episodes + 1).beta
            state = hf.replanned(config, form, state, hyper, mixture.mu0, beta, jax.random.key(i))
            rho = float(radii.realised(state.regressions, true, beta))
            Q = np.asarray(form.table(form.kernel(state.theta)))
            error = planning_error.lower(P, Q, H, random=20).value
            covered = rho <= 1 and int(state.violated) == 0
            verdicts.append((covered, float(state.certificate) >= error))
    assert all(holds for covered, holds in verdicts if covered)
    assert sum(covered for covered, _ in verdicts) >= 2
    assert all(holds for _, holds in verdicts) is not refuted
