"""Returns, selections and mixtures against loops over the list of episodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.data import d4rl
from jaxrl.data.episodes import (
    concatenate,
    episode_returns,
    label,
    normalise_returns,
    split_at_jumps,
    take_episodes,
)
from jaxrl.data.validate import validate
from tests.data.recordings import EPISODES, LENGTHS, SPACE, write_d4rl

RETURNS = [float(np.sum(e["reward"], dtype=np.float64)) for e in EPISODES]
STARTS = np.cumsum(LENGTHS) - LENGTHS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return d4rl.load(write_d4rl(tmp_path_factory.mktemp("data") / "a.hdf5"), action_space=SPACE)


def test_returns(data):
    np.testing.assert_allclose(episode_returns(data), RETURNS, rtol=1e-6)
    twice = data.replace(reward=jnp.stack([data.reward, -data.reward], 1))
    np.testing.assert_allclose(
        episode_returns(twice), np.stack([RETURNS, np.negative(RETURNS)], 1), rtol=1e-6
    )
    padded = data.replace(mask=jnp.arange(data.size) != STARTS[1])
    expected = RETURNS[1] - float(EPISODES[1]["reward"][0])
    np.testing.assert_allclose(episode_returns(padded)[1], expected, rtol=1e-5)
    without = data.replace(mask=data.episode != data.episode[int(STARTS[1])])
    np.testing.assert_allclose(episode_returns(without), [RETURNS[0], *RETURNS[2:]], rtol=1e-6)


def test_normalised_returns_span_the_scale(data):
    """The largest minus the smallest return becomes 1000, and nothing else changes."""
    new = normalise_returns(data)
    factor = 1000 / (max(RETURNS) - min(RETURNS))
    np.testing.assert_allclose(new.reward, data.reward * factor, rtol=1e-6)
    np.testing.assert_allclose(np.ptp(episode_returns(new)), 1000, rtol=1e-6)
    assert dict(new.meta)["reward_factor"] == pytest.approx(factor)


def test_unmarked_boundaries_are_found(data, tmp_path):
    """The rule of IQL's code: too long a limit, then split where rows do not join."""
    path = write_d4rl(tmp_path / "a.hdf5", timeouts=None)
    joined = d4rl.load(path, action_space=SPACE, max_episode_steps=1000)
    assert int(joined.episode[-1]) == 2  # two episodes hang together
    assert validate(joined).counts["boundary"] == 1
    split = split_at_jumps(joined)
    for one, two in zip(jax.tree.leaves(split), jax.tree.leaves(data), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("first", "last"), [(0, 1), (1, 3), (2, None), (-1, None)])
def test_taken_episodes(data, first, last):
    taken = take_episodes(data, first, last)
    chosen = list(range(4))[first:last]
    rows = np.concatenate([np.arange(STARTS[i], STARTS[i] + LENGTHS[i]) for i in chosen])
    np.testing.assert_array_equal(taken.obs, np.asarray(data.obs)[rows])
    np.testing.assert_array_equal(np.unique(taken.episode), np.arange(len(chosen)))
    np.testing.assert_allclose(episode_returns(taken), np.array(RETURNS)[chosen], rtol=1e-6)


def test_mixtures(data):
    expert = label(take_episodes(data, 0, 2), True)
    mixed = concatenate(expert, take_episodes(data, 2), take_episodes(data, 1, 2), meta=(("name", "mix"),))
    np.testing.assert_allclose(episode_returns(mixed), [*RETURNS, RETURNS[1]], rtol=1e-6)
    np.testing.assert_array_equal(mixed.is_expert, np.arange(mixed.size) < LENGTHS[:2].sum())
    assert (np.diff(mixed.episode) >= 0).all() and int(mixed.episode[-1]) == 4
    assert mixed.meta == (("name", "mix"),) and mixed.mask is None
    padded = concatenate(data, data.replace(mask=jnp.zeros(data.size, bool)))
    np.testing.assert_array_equal(padded.mask, np.arange(2 * data.size) < data.size)


USAGE = {
    "same returns": (
        lambda d: normalise_returns(take_episodes(d, 0, 1)),
        "data: all episodes have the same return",
    ),
    "vector": (
        lambda d: normalise_returns(d.replace(reward=d.reward[:, None])),
        r"data.reward: must be scalar per row, got \(17, 1\)",
    ),
    "no episode": (lambda d: take_episodes(d, 4), "take_episodes: 4 .. None selects none of the 4"),
    "nothing": (lambda d: concatenate(), "concatenate: give at least one"),
    "weights": (lambda d: concatenate(d.replace(mask=jnp.ones(17))), "concatenate: masks are weights"),
    "widths": (lambda d: concatenate(d, d.replace(action=d.action[:, :1])), "concatenate: parts differ"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage(data, name):
    call, message = USAGE[name]
    with pytest.raises(UsageError, match="^" + message):
        call(data)
