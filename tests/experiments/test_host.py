"""Episodes of gymnasium collected in parts: the same whatever the number of processes."""

import jax
import numpy as np
import pytest

from experiments.data import host
from jaxrl.core.errors import StorageError
from jaxrl.data.dataset import dataset_hash
from jaxrl.data.episodes import episode_returns

NAME = "trpo_Hopper-v1.h5"


def test_episodes_are_divided_into_parts_with_keys_of_their_own():
    parts = host.jobs_of("file", "Hopper-v5", 500, 0.5, 120, jax.random.key(0))
    assert [job.episodes for job in parts] == [50, 50, 20]
    assert len({tuple(job.key) for job in parts}) == 3
    (alone,) = host.jobs_of("file", "Hopper-v5", None, 0.0, 50, jax.random.key(7))
    np.testing.assert_array_equal(alone.key, jax.random.key_data(jax.random.key(7)))


@pytest.mark.slow
def test_a_process_that_fails_is_reported():
    jobs = host.jobs_of("no file", "Hopper-v5", 500, 0.0, 100, jax.random.key(0))
    with pytest.raises(StorageError, match=r"a process that collects episodes failed: .*no file"):
        host.collect_jobs([jobs], processes=2)


@pytest.mark.slow
def test_data_do_not_depend_on_the_number_of_processes(data_folder, monkeypatch):
    """And noise in the actions makes the expert's episodes shorter and worse."""
    pytest.importorskip("mujoco")
    monkeypatch.setattr(host, "CHUNK", 3)
    file = str(data_folder / NAME)
    groups = [host.jobs_of(file, "Hopper-v5", 500, noise, 6, jax.random.key(0)) for noise in (0.0, 0.7)]
    one, two = (host.collect_jobs(groups, processes) for processes in (1, 2))
    assert [dataset_hash(d) for d in one] == [dataset_hash(d) for d in two]
    expert, noisy = map(episode_returns, one)
    assert len(expert) == len(noisy) == 6 and expert.mean() > 3000 > 2300 > noisy.mean() > 300
    assert float(np.abs(one[1].action).max()) == 1 and not np.array_equal(one[0].obs[:50], one[1].obs[:50])
