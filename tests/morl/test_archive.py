"""The archive against a brute-force loop, and its files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.morl import archive
from jaxrl.morl.archive import Entries
from tests.morl.formula_points import formula_points


def entries(points, first=0):
    """Candidates whose policy is their number."""
    points = jnp.asarray(points, jnp.float32)
    n = len(points)
    number = jnp.arange(first, first + n, dtype=jnp.int32)
    none = jnp.full(points.shape, -jnp.inf)
    policy = {"params": number[:, None].astype(jnp.float32)}
    return Entries(policy, points, 2 * points, jnp.ones(n), none, number, number, number)


def empty(m, capacity):
    return archive.empty({"params": jnp.zeros(1)}, m, capacity)


def brute_crowding(points):
    n, m = points.shape
    distance = np.zeros(n)
    for k in range(m):
        order = np.argsort(points[:, k], kind="stable")
        span = points[order[-1], k] - points[order[0], k]
        distance[order[[0, -1]]] = np.inf
        for i in range(1, n - 1):
            if span > 0:
                gap = points[order[i + 1], k] - points[order[i - 1], k]
                distance[order[i]] += np.float32(gap) / np.float32(span)
    return distance


def brute_insert(kept, new, z, capacity):
    """Numbers and points of the members after an insertion, by loops; and how many did not fit."""
    both = [(i, p) for i, p in [*kept, *new] if all(p >= z)]
    found = []
    for a, (i, p) in enumerate(both):
        dominated = any(all(q >= p) and any(q > p) for _, q in both)
        repeated = any(all(q == p) for _, q in both[:a])
        if not dominated and not repeated:
            found.append((i, p))
    if len(found) <= capacity:
        return found, 0
    distance = brute_crowding(np.array([p for _, p in found]))
    best = sorted(np.argsort(-distance, kind="stable")[:capacity])
    return [found[i] for i in best], len(found) - capacity


insert = jax.jit(archive.insert)


@pytest.mark.parametrize(("m", "q", "capacity"), [(2, 1009, 6), (3, 11, 8), (3, 997, 12), (4, 13, 40)])
def test_insertions_equal_brute_force_on_a_thousand_points(m, q, capacity):
    points = formula_points(1000, m, q).astype(np.float32)
    z = np.full(m, 0.05, np.float32)
    ours, kept, dropped = empty(m, capacity), [], 0
    for start in range(0, 1000, 100):
        block = points[start : start + 100]
        ours = insert(ours, entries(block, start), jnp.asarray(z), jnp.ones(100, bool))
        kept, more = brute_insert(kept, list(enumerate(block, start)), z, capacity)
        dropped += more
    found = archive.members(ours)
    assert found.start.tolist() == [i for i, _ in kept]
    np.testing.assert_array_equal(found.returns, np.array([p for _, p in kept]))
    np.testing.assert_array_equal(found.policy["params"][:, 0], found.start)
    assert int(ours.dropped) == dropped


def test_archives_of_a_population_are_the_single_ones():
    batches = [formula_points(20, 2, q) for q in (11, 13)]
    single = [insert(empty(2, 5), entries(b), jnp.zeros(2), jnp.ones(20, bool)) for b in batches]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *[entries(b) for b in batches])
    free = jax.tree.map(lambda x: jnp.stack([x, x]), empty(2, 5))
    both = jax.vmap(archive.insert, (0, 0, None, None))(free, stacked, jnp.zeros(2), jnp.ones(20, bool))
    for i in range(2):
        for a, b in zip(jax.tree.leaves(single[i]), jax.tree.leaves(both), strict=True):
            np.testing.assert_array_equal(a, b[i])


def test_free_slots_hold_nothing():
    ours = insert(empty(2, 4), entries([[1.0, 2.0], [2.0, 1.0]]), jnp.zeros(2), jnp.ones(2, bool))
    assert ours.valid.tolist() == [True, True, False, False]
    assert np.isneginf(ours.entries.returns[2:]).all() and not ours.entries.policy["params"][2:].any()


def test_an_objective_without_range_gives_no_nan():
    points = [[1.0, 5.0, 2.0], [2.0, 5.0, 1.0], [1.5, 5.0, 1.5]]
    ours = insert(empty(3, 2), entries(points), jnp.zeros(3), jnp.ones(3, bool))
    assert int(ours.valid.sum()) == 2 and int(ours.dropped) == 1
    assert not np.isnan(ours.entries.returns).any()


@pytest.mark.parametrize("where", ["returns", "policy"])
def test_policies_that_are_not_finite_do_not_enter(where):
    new = entries([[1.0, 2.0], [9.0, 9.0]])
    if where == "returns":
        new = new.replace(returns=new.returns.at[1, 0].set(jnp.nan))
    else:
        new = new.replace(policy={"params": new.policy["params"].at[1].set(jnp.nan)})
    before = insert(empty(2, 4), entries([[2.0, 1.0]], 7), jnp.zeros(2), jnp.ones(1, bool))
    ours = insert(before, new, jnp.zeros(2), jnp.ones(2, bool))
    assert archive.members(ours).start.tolist() == [7, 0]


def test_padding_does_not_enter():
    ours = insert(empty(2, 4), entries([[1.0, 2.0], [2.0, 1.0]]), jnp.zeros(2), jnp.array([True, False]))
    assert int(ours.valid.sum()) == 1


def test_selection_takes_ends_first_and_skips_what_was_selected_before():
    points = [[0.0, 10.0], [2.0, 9.0], [3.0, 7.0], [7.0, 4.0], [8.0, 1.0], [10.0, 0.0]]
    ours = insert(empty(2, 8), entries(points), jnp.zeros(2), jnp.ones(6, bool))
    before, seen = jnp.zeros((4, 2)), jnp.zeros(4, bool)
    index, live = archive.select(ours, 3, before, seen)
    assert index.tolist() == [0, 5, 3] and live.all()  # distances inf, inf, 1.1
    before, seen = before.at[:3].set(ours.entries.returns[index]), seen.at[:3].set(True)
    index, live = archive.select(ours, 4, before, seen)
    assert index.tolist()[:3] == [2, 4, 1] and live.tolist() == [True, True, True, False]
    assert int(index[3]) == 0  # the first member stands for the rest


def test_selection_without_members_is_padding():
    _, live = archive.select(empty(2, 4), 2, jnp.zeros((2, 2)), jnp.zeros(2, bool))
    assert not live.any()


def test_random_scores_select_members_alone():
    ours = insert(empty(2, 8), entries([[0.0, 1.0], [1.0, 0.0]]), jnp.zeros(2), jnp.ones(2, bool))
    for i in range(5):
        score = archive.random_score(jax.random.key(i), ours)
        index, live = archive.select(ours, 2, jnp.zeros((1, 2)), jnp.zeros(1, bool), score)
        assert sorted(index.tolist()) == [0, 1] and live.all()


def test_spread_is_the_range_of_the_members():
    ours = insert(empty(2, 4), entries([[1.0, 2.0], [4.0, 1.5]]), jnp.zeros(2), jnp.ones(2, bool))
    np.testing.assert_allclose(archive.spread(ours), [3.0, 0.5])
    one = insert(empty(2, 4), entries([[1.0, 2.0]]), jnp.zeros(2), jnp.ones(1, bool))
    np.testing.assert_allclose(archive.spread(one), 1e-8)


def test_what_the_reference_point_leaves_out_is_counted():
    ours = insert(
        empty(2, 4), entries([[1.0, 2.0], [2.0, 0.5], [9.0, 0.0]]), jnp.array([0.0, 0.5]), jnp.ones(3, bool)
    )
    assert int(ours.refused) == 1
    line = archive.check_reference(ours, [0.0, 0.5])
    assert "1 candidates below" in line and "1 of 2 members lie on it" in line
    clean = insert(empty(2, 4), entries([[1.0, 2.0]]), jnp.zeros(2), jnp.ones(1, bool))
    assert archive.check_reference(clean, [0.0, 0.0]) is None


@pytest.mark.parametrize(
    ("z", "words"), [([1.0, 2.0], "none of 1 members"), ([5.0, 5.0], "none of 1 candidates")]
)
def test_a_reference_point_that_no_member_exceeds_is_refused(z, words):
    ours = insert(empty(2, 4), entries([[1.0, 2.0]]), jnp.asarray(z), jnp.ones(1, bool))
    with pytest.raises(UsageError, match=words):
        archive.check_reference(ours, z)


RECORD = {"env": "sea", "reference": [0.0, -50.0]}


def stored(tmp_path, record=RECORD):
    ours = insert(empty(2, 4), entries([[1.0, 2.0], [2.0, 1.0]]), jnp.zeros(2), jnp.ones(2, bool))
    archive.save(tmp_path / "a.npz", ours, record)
    return ours


def test_a_saved_archive_is_read_back(tmp_path):
    ours = stored(tmp_path)
    for capacity in (4, 6):
        again = archive.load(tmp_path / "a.npz", empty(2, capacity), RECORD)
        for a, b in zip(
            jax.tree.leaves(archive.members(ours)), jax.tree.leaves(archive.members(again)), strict=True
        ):
            np.testing.assert_array_equal(a, b)
    assert np.isneginf(again.entries.returns[2:]).all()


@pytest.mark.parametrize(
    ("record", "like", "words"),
    [
        ({"env": "tree", "reference": [0.0, -50.0]}, empty(2, 4), "env of the archive is 'sea'"),
        ({"env": "sea", "reference": [0.0, 0.0]}, empty(2, 4), "reference of the archive"),
        (RECORD, empty(2, 1), "capacity: must be >= 2"),
        (
            RECORD,
            archive.empty({"params": jnp.zeros(3)}, 2, 4),
            r"policy.params has shape \[1\], expected \[3\]",
        ),
        (RECORD, archive.empty({"other": jnp.zeros(1)}, 2, 4), "another structure"),
    ],
)
def test_an_archive_of_something_else_is_refused(tmp_path, record, like, words):
    stored(tmp_path)
    with pytest.raises(UsageError, match=words):
        archive.load(tmp_path / "a.npz", like, record)


def test_a_damaged_archive_is_refused(tmp_path):
    stored(tmp_path)
    path = tmp_path / "a.npz"
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(CorruptInput, match="no archive that can be read"):
        archive.load(path, empty(2, 4), RECORD)
    with pytest.raises(UsageError, match="no such archive"):
        archive.load(tmp_path / "b.npz", empty(2, 4), RECORD)
