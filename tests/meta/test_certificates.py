"""Certificates of drifts whose properties are known, and of drifts that are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.meta import drift
from jaxrl.meta.certificates import certificate, certified_radius, check_drift, grid
from jaxrl.meta.objective import MASKS, Objective

PPO, DPO, FAMILY = drift.ppo(), drift.dpo(), drift.family(hidden=4)


def init(objective):
    return objective.init(jax.random.key(0))


def rule(apply, name="own"):
    return Objective(lambda key: (), apply, "drift", ("n/N",), name)


def test_the_slope_of_ppo_is_the_advantage_inside_the_clip_and_zero_outside():
    found = grid(PPO, init(PPO), ratios=np.array([0.5, 0.9, 1.1, 1.5]), advantages=np.array([-2.0, 2.0]))
    np.testing.assert_allclose(found.slope[0], [[0, 2], [-2, 2], [-2, 2], [-2, 0]], atol=1e-6)
    assert found.slope.shape == (3, 4, 2)


def test_ppo_never_pushes_back_and_has_the_dead_zone_of_its_clip():
    found = check_drift(PPO, init(PPO))
    assert found.least == 0 and found.at_one == 0 and found.slope_at_one == 0
    assert found.rollback == pytest.approx(0, abs=1e-6) and found.time == 0 and found.used.size == 0
    assert 0.18 < found.dead_zone <= 0.2
    assert check_drift(DPO, init(DPO)).dead_zone == 0


def test_a_network_without_weights_has_no_end_of_its_dead_zone():
    plain = drift.lpo(hidden=4)
    found = check_drift(plain, init(plain))
    assert found.dead_zone == 3 and found.rollback == 1 and not found.used.any()


def test_certified_radii_hold_and_are_of_the_known_order():
    rng = np.random.default_rng(0)
    learned = drift.ta_lpo(hidden=16)
    for scale, low, high in ((0.1, 1e-5, 1e-3), (10.0, 1e-10, 1e-7)):
        weights = {"W1": rng.normal(size=(16, 16)), "w2": rng.normal(size=16)}
        phi = init(learned) | {k: jnp.array(scale * x, jnp.float32) for k, x in weights.items()}
        radius = certified_radius(phi, 3.0, MASKS["n/N"])
        assert low < radius < high
        inside = grid(learned, phi, ratios=1 + radius * np.array([-1.0, -0.5, 0.5, 1.0]))
        assert inside.f.max() == 0
        assert certificate(learned, phi).dead_zone >= radius
        assert check_drift(learned, phi).certified == radius  # though the numbers beside 1 lie outside


def member(parts, W1=0.0, schedule=0.0):
    """Phi of a member of the family; `schedule` is the slope of the logarithm of the clip."""
    zero = FAMILY.init(jax.random.key(0))
    moved = zero["schedule"].at[1, 1].set(schedule)
    return zero | {"parts": parts, "W1": W1 + 0 * zero["W1"], "w2": jnp.ones(4), "schedule": moved}


def test_certified_radii_stay_inside_the_clip_of_a_schedule_and_claim_nothing_about_dpo():
    parts = drift.Parts(ppo=1.0, xi=drift.XI)
    for phi, clip in (
        (member(parts, schedule=-1.0), 0.2 * np.exp(-1)),
        (member(parts, schedule=1.0), 0.2),
        (member(parts._replace(anneal=(0.0, 0.75, 0.0))), 0.05),
    ):
        found = check_drift(FAMILY, phi)
        assert found.certified == pytest.approx(clip, rel=1e-6)
        inside = 1 + 0.999 * found.certified * np.array([-1.0, 1.0])
        assert grid(FAMILY, phi, ratios=inside, progress=(0.0, 0.5, 1.0)).f.max() == 0
    assert certified_radius(member(parts, schedule=-1.0), 3.0, MASKS["none"]) == pytest.approx(0.2)
    assert check_drift(FAMILY, member(drift.Parts(dpo=1.0, xi=drift.XI))).certified == 0


def test_rows_that_the_mask_hides_count_neither_as_used_nor_against_the_radius():
    phi = member(drift.Parts(xi=drift.XI), W1=0.01)
    blind, aware = (certificate(FAMILY, phi, mask=MASKS[name]) for name in ("none", "n/N"))
    np.testing.assert_allclose(blind.used, [0.04] * 8 + [0.0] * 8, rtol=1e-6)
    np.testing.assert_allclose(aware.used, [0.04] * 16, rtol=1e-6)
    assert blind.certified > aware.certified > 0


def test_a_rule_of_ones_own_may_name_its_parameters_as_it_likes():
    found = certificate(rule(lambda phi, r, l, A, t: phi["w2"] * (r - 1) ** 2), {"w2": jnp.ones(())})
    assert found.certified == 0 and found.used.size == 0


def test_features_that_are_not_used_weigh_nothing_and_time_is_seen():
    learned = drift.ta_lpo("ppo", hidden=4)
    phi = init(learned) | {"w2": jnp.ones(4)}
    phi["W1"] = phi["W1"].at[8:].set(0.0)
    found = check_drift(learned, phi)
    assert np.all(found.used[:8] > 0) and not found.used[8:].any() and found.time == 0
    phi["W1"] = phi["W1"].at[12].set(1.0)
    assert certificate(learned, phi).time > 0.1


@pytest.mark.parametrize(
    ("apply", "says"),
    [
        (lambda phi, r, l, A, t: (r - 1) * A, "own: f must not be negative, but is -9 at r = 4"),
        (lambda phi, r, l, A, t: 0.3 * t.n / t.N + 0 * r, "own: f(1, A) must be 0, but reaches 0.293"),
        (lambda phi, r, l, A, t: jax.nn.relu(1.5 * (r - 1.0)) + jax.nn.relu(1 - r), "own: df/dr must be 0"),
    ],
)
def test_a_drift_that_breaks_a_condition_is_told_which_and_by_how_much(apply, says):
    with pytest.raises(UsageError) as error:
        check_drift(rule(apply), ())
    assert says in str(error.value)
