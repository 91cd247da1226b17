"""Returns, selections, mixtures, reports and scores, against loops over the list of episodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Discrete
from jaxrl.data import d4rl, scores
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
    """Spec check D6: the largest minus the smallest return becomes 1000, and nothing else changes."""
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


def test_validation_counts_what_was_broken(data):
    """Spec check D2, last part. A good file is clean."""
    assert validate(data, SPACE).clean
    obs, next_obs = np.array(data.obs), np.array(data.next_obs)
    far = int(STARTS[3]) + 3  # the fourth episode is somewhere else from its fourth row on
    obs[far:] += 1000
    next_obs[far:] += 1000
    unmarked = validate(data.replace(obs=jnp.asarray(obs), next_obs=jnp.asarray(next_obs)), SPACE)
    np.testing.assert_array_equal(unmarked.findings["boundary"], [far - 1])
    assert unmarked.counts["teleport"] == 0 and not unmarked.clean
    next_obs[far - 1] += 1000
    joined = validate(data.replace(obs=jnp.asarray(obs), next_obs=jnp.asarray(next_obs)), SPACE)
    np.testing.assert_array_equal(joined.findings["teleport"], [far - 1])
    assert joined.counts["boundary"] == 0
    assert f"teleport: 1, first in row {far - 1}" in str(joined)
    assert str(joined).startswith("17 rows, 4 episodes\n")
    broken = data.replace(
        reward=data.reward.at[2].set(jnp.nan),
        action=data.action.at[5, 1].set(1.5),
        truncated=data.truncated.at[3].set(True).at[9].set(False),
    )
    counts = validate(broken, SPACE).counts
    found = {"boundary": 0, "teleport": 0, "not_finite": 1, "action": 1, "both_ends": 1, "no_end": 1}
    assert counts == found
    assert validate(broken).counts["action"] == 0  # no space, no opinion
    wide = data.replace(action=jnp.zeros((data.size, 3)))
    assert validate(wide, SPACE).counts["action"] == validate(data, Discrete(2)).counts["action"] == data.size


def test_rest_is_no_measure_of_a_step(data):
    """An agent that mostly stands still does not teleport when it moves."""
    obs = np.zeros(np.shape(data.obs), np.float32)
    obs[data.size // 2 :] = 1
    next_obs = np.append(obs[1:], obs[-1:], 0)
    resting = data.replace(obs=jnp.asarray(obs), next_obs=jnp.asarray(next_obs))
    assert validate(resting).counts["teleport"] == 0


def test_scores_are_the_published_ones():
    """Values of D4RL's table at its own references and in between."""
    hopper = scores.reference("hopper-medium-v2")
    assert scores.normalised_score(hopper.random, hopper) == 0
    assert scores.normalised_score(hopper.expert, hopper) == 100
    # (3726 + 20.272305) / (3234.3 + 20.272305), the TRPO expert: 115
    assert scores.normalised_score(3726.0, hopper) == pytest.approx(115.108, abs=1e-3)
    assert scores.reference("antmaze-umaze-v0") == (0, 1)
    assert scores.reference("maze2d-umaze-v1") == (23.85, 161.86)
    assert scores.reference("maze2d-umaze-dense-v1") == (68.537689, 193.66285642)
    assert scores.reference("ant-random-v2") == (-325.6, 3879.7)
    np.testing.assert_allclose(
        scores.normalised_score(np.array([0.0, 50.0, 200.0]), scores.Reference(0.0, 100.0)), [0, 50, 200]
    )


def test_references_of_a_dataset(data):
    own = data.replace(meta=(("ref_random", -10.0), ("ref_expert", 30.0)))
    assert scores.reference_of(own) == scores.Reference(-10.0, 30.0)


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
    "no reference": (
        lambda d: scores.reference("hopperette-v2"),
        "name: no reference scores for 'hopperette",
    ),
    "no meta": (lambda d: scores.reference_of(d), "data.meta: has no ref_random"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage(data, name):
    call, message = USAGE[name]
    with pytest.raises(UsageError, match="^" + message):
        call(data)
