"""The benchmark of the readers at tiny sizes: what it writes is read, with a row per size and quantity."""

from pathlib import Path

import pytest

from benchmarks import readers


@pytest.mark.parametrize("kind", readers.READERS)
def test_files_have_the_rows_that_are_counted(kind, tmp_path):
    path = tmp_path / "main_data.hdf5"
    readers.write(kind, path, 2000)
    data = readers.READERS[kind](path)
    assert data.size == 2000 and data.truncated.sum() == 2 and data.obs.shape == (2000, 17)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is Linux's")
def test_an_entry_has_the_time_of_a_row_and_the_peak_over_the_arrays(tmp_path):
    path = tmp_path / "main_data.hdf5"
    readers.write("D4RL", path, 2000)
    time, memory = readers.read("D4RL", path, 2, "")
    assert (time.name, len(time.rounds)) == ("D4RL, time, 2,000 rows", 2) and time.value > 0
    assert memory.name == "D4RL, peak memory, 2,000 rows" and memory.value >= 0
