"""Meta-runs that were killed twice, once inside a save, go on with other devices to the same bytes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spmd
from jaxrl.meta import bandit, evolution, lpg, meta_gradient, targets
from jaxrl.meta.objective import MASKS
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train
from tests.meta.contract_cases import GRID
from tests.run.interrupted import bits, killed_inside_a_save

DONE = ((3, 4), (1, 2))  # updates of the last whole checkpoint, and devices that go on


@dataclasses.dataclass(frozen=True)
class Record:
    """What the run folder holds."""

    updates: int = 5


def evolved(devices, folder=None, work=None):
    """Two arms of the bandit rule, blind and told the time, or one whose generation devices share."""
    problem = bandit.problem(bandit.Config(arms=2, horizons=(1, 2), tasks=4), bandit.step_size())
    config = evolution.Config(pairs=4, lane=1, selection=2, select_every=2)
    algorithm = evolution.make(config, problem, None if work is None else spmd.WORK)
    hyper = evolution.Hyper(sigma=0.3, mask=MASKS["paper"])
    hypers = [hyper] if work else [hyper, hyper.replace(mask=MASKS["none"])]
    return trained(algorithm, hypers, bandit.default_params(), devices, folder, work=work)


def descended(devices, folder=None):
    """Meta-gradients with a critic that learns, and with a frozen one."""
    learner = lpg.Config(n_envs=2, length=3, predictions=2)
    config = meta_gradient.Config(learner=learner, agents=3, updates=2, horizons=(2, 6))
    rule = targets.lpg(2, inputs=("n/N", "ln N"), embedding=2, width=3)
    hypers = [meta_gradient.Hyper(lr=0.05, legacy_frozen_critic=frozen) for frozen in (0.0, 1.0)]
    return trained(meta_gradient.make(config, GRID, rule), hypers, (), devices, folder)


def trained(algorithm, hypers, data, devices, folder, work=None):
    return train(
        algorithm,
        member_keys(3, 1)[np.zeros(len(hypers), int)],
        stack_hypers(hypers, 1),
        data,
        updates=Record().updates,
        log_every=1,
        checkpoint_every=None if folder is None else 1,
        devices=jax.devices()[:devices],
        folder=folder,
        work=work,
        progress=False,
    ).state


@pytest.mark.slow
@pytest.mark.parametrize("run", [evolved, descended])
def test_arms_that_were_killed_twice_go_on_with_equal_bytes_on_other_devices(run, tmp_path):
    expected = run(4)
    folder = RunFolder.create("meta/toy", Record(), tmp_path, "smoke")
    assert bits(run(2, folder)) == bits(expected)
    for updates, devices in DONE:
        assert killed_inside_a_save(folder, updates) > 0
        assert bits(run(devices, folder)) == bits(expected)
    if run is descended:  # critics, levels and ages of agents are among the bytes
        agents = expected.agents
        assert len(jax.tree.leaves(agents.level)) and jnp.asarray(agents.n).shape == (2, 3)
        learned, frozen = (jax.tree.map(lambda x, i=i: x[i], agents.critic_params) for i in (0, 1))
        assert bits(learned) != bits(frozen)


@pytest.mark.slow
def test_a_generation_that_devices_share_goes_on_with_equal_bytes_on_more_of_them(tmp_path):
    expected = evolved(2, work=2)
    folder = RunFolder.create("meta/toy", Record(), tmp_path, "smoke")
    evolved(2, folder, work=2)
    for updates, devices in ((3, 4), (1, 2)):
        assert killed_inside_a_save(folder, updates) > 0
        folder.work = devices  # as --work says
        assert bits(evolved(devices, folder, work=2)) == bits(expected)
    assert np.abs(expected.params["w"]).min() > 0
