"""What loaders share: actions inside their space, and successors from consecutive rows."""

import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput
from jaxrl.core.spaces import Box
from jaxrl.data import d4rl
from jaxrl.data.dataset import from_arrays
from jaxrl.data.foreign import with_successors
from tests.data.recordings import cat, write_d4rl


@pytest.mark.parametrize("space", [Box((-2.0, 0.0), (2.0, 4.0), (2,)), Box(-float("inf"), 3.0, (2,))])
def test_actions_stay_inside_the_space(tmp_path, space):
    path = write_d4rl(tmp_path / "a.hdf5")
    data = d4rl.load(path, action_space=space)
    low, high = (np.broadcast_to(b, 2) for b in (space.low, space.high))
    half = np.where(np.isfinite(high - low), (high - low) / 2, 0)
    action = np.asarray(data.action, np.float64)
    np.testing.assert_allclose(
        action, np.clip(cat("action"), low + 1e-5 * half, high - 1e-5 * half), atol=1e-6
    )
    assert (action > low).all() and (action < high).all()


def test_successors_of_a_table_of_rows():
    """As a reader of a CSV file has it: columns, and the number of the episode."""
    table = np.arange(14.0).reshape(7, 2)
    episode = np.array([0, 0, 0, 1, 1, 2, 2])
    fields = {
        "obs": table[:, :1],
        "action": [0, 1, 0, 1, 0, 1, 0],
        "reward": table[:, 1],
        "terminated": [0, 0, 1, 0, 0, 0, 0],
    }
    data = from_arrays(with_successors(fields, last=np.diff(episode, append=-1) != 0))
    np.testing.assert_array_equal(data.obs[:, 0], [0, 2, 4, 6, 10])
    np.testing.assert_array_equal(data.next_obs[:, 0], [2, 4, 4, 8, 12])
    np.testing.assert_array_equal(data.terminated, [False, False, True, False, False])
    np.testing.assert_array_equal(data.truncated, [False, False, False, True, True])


def test_the_last_row_of_all_has_no_successor():
    """Even where nobody marked it as the last of an episode."""
    fields = {"obs": np.arange(3.0), "action": np.zeros(3), "reward": np.zeros(3), "terminated": np.zeros(3)}
    data = from_arrays(with_successors(fields, last=np.zeros(3)))
    np.testing.assert_array_equal(data.obs, [0, 1])
    np.testing.assert_array_equal(data.truncated, [False, True])


def test_tables_of_unequal_length_are_refused():
    fields = {"obs": np.arange(4.0), "action": np.zeros(3), "reward": np.zeros(3), "terminated": np.zeros(3)}
    with pytest.raises(CorruptInput, match=r"^with_successors: obs has 4 rows, terminated has 3; make them"):
        with_successors(fields, last=np.zeros(3))


def test_what_a_table_lacks_is_named_with_its_own_row():
    """Rows before it that are dropped count, and what nobody reads of a dropped row may be missing."""
    x = np.arange(6.0)
    fields = {"obs": {"x": (x.copy(), x)}, "action": x, "reward": x, "terminated": np.zeros(6)}
    last = np.array([0, 0, 1, 0, 0, 1])
    with pytest.raises(CorruptInput, match=r"^a\.csv: terminated is missing; add the array"):
        with_successors({"obs": x}, last, "a.csv")
    assert len(with_successors(fields | {"reward": np.where(last, np.nan, 0)}, last)["reward"]) == 4
    with pytest.raises(CorruptInput, match=r"^a\.csv: action in row 4 is not finite"):
        with_successors(fields | {"action": np.where(x == 4, np.nan, x)}, last, "a.csv")
    fields["obs"]["x"][0][5] = np.inf
    with pytest.raises(CorruptInput, match=r"^a\.csv: obs\.x\.0 in row 5 is not finite"):
        with_successors(fields, last, "a.csv")
