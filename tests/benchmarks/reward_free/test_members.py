"""The benchmark of shared programs at a tiny size; no test asserts a time."""

import pytest

from benchmarks.reward_free import members


def test_members_that_share_a_program_are_compared_with_each_alone(monkeypatch):
    """Programs of equal sizes are compiled once: two horizons 3, and 8 in a program for 8."""
    monkeypatch.setattr(members, "HORIZONS", (3,))
    monkeypatch.setattr(members, "LONG", 8)
    monkeypatch.setattr(members, "SEEDS", 1)
    compiled, shares, short = members.compare("UCRL-RFE", episodes=2, rounds=1)
    assert compiled.unit == "CPU-s" and "2 members" in shares.settings
    assert shares.ceiling == 1.1 and short.name.endswith("H = 8 in a program for 8 / for 8")


@pytest.mark.slow
def test_seeds_side_by_side_have_the_certificates_of_one_before_they_are_timed():
    (ratio,) = members.side_by_side(lanes=2, episodes=4, rounds=1)
    assert ratio.ceiling == 1 and "2 seeds in one lane / one seed" in ratio.name
