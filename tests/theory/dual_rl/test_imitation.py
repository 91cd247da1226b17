"""Imitation on the reference MDP: SMODICE with and without coverage, ReCOIL as released."""

import numpy as np
import pytest
from scipy import sparse

from tests.theory.dual_rl.known import D_E, D_S, MDP, average, value
from theory.dual_rl.duality import recoil_v
from theory.dual_rl.imitation import recoil_released, released_fixed_point, smodice
from theory.exact.occupancy import policy_of


def test_smodice_needs_coverage_and_recoil_does_not():
    def gap(d):
        return float(((d - D_E) ** 2).sum())

    alone, with_expert = smodice(MDP, D_E, D_S), smodice(MDP, D_E, 0.5 * D_S + 0.5 * D_E)
    assert gap(alone.d) == pytest.approx(0.2337, abs=5e-5) and average(alone.d) == pytest.approx(
        -0.2518, abs=5e-5
    )
    assert gap(with_expert.d) == pytest.approx(0.0561, abs=5e-5)
    assert average(with_expert.d) == pytest.approx(0.2912, abs=5e-5)
    assert gap(recoil_v(MDP, D_E, D_S, 0.5, "chi2").d) < 1e-20


def released(q, temperature):
    return recoil_released(MDP, D_E, (1 - q) * D_S + q * D_E, temperature=temperature)


def test_the_released_fixed_point():
    golden = [16.8418370627, 17.2272200055, 17.420873589, 17.1674238792, 17.0549359702]
    found = released(0.1, 1.0)
    np.testing.assert_allclose(found.v, golden, atol=1e-9)
    np.testing.assert_allclose(
        found.v, np.log((policy_of(0.9 * D_S + 0.1 * D_E) * np.exp(found.q)).sum(1)), atol=1e-11
    )
    assert value(policy_of(0.9 * D_S + 0.1 * D_E)) == pytest.approx(-0.14292667, abs=1e-8)


@pytest.mark.parametrize(
    ("temperature", "golden"),
    [
        (5.0, [0.20667706, 0.81040144, 0.81414267, 0.81422851, 0.81423062]),
        (1.0, [0.22503098, 0.81421902, 0.81422919, 0.81422907, 0.81422826]),
    ],
)
def test_the_released_policy_improves_with_expert_data(temperature, golden):
    values = [value(released(q, temperature).policy) for q in (0, 0.03, 0.1, 0.3, 0.6)]
    np.testing.assert_allclose(values, golden, atol=1e-8)


@pytest.mark.parametrize("resolved", [True, False])
def test_the_fixed_point_at_any_weight_satisfies_its_two_equations(resolved):
    """A share of the expert that is written out entry by entry, here at weight 0.1 and temperature 2."""
    mixed = 0.9 * D_S + 0.1 * D_E
    seen = None if resolved else lambda d: np.broadcast_to(d.sum(1, keepdims=True), d.shape)
    found = recoil_released(MDP, D_E, mixed, temperature=2.0, beta=0.1, seen=seen)
    P, mu = np.asarray(MDP.P, np.float64), policy_of(mixed)
    for s in range(5):
        for a in range(3):
            labelled, other = (D_E[s, a], mixed[s, a]) if resolved else (D_E[s].sum(), mixed[s].sum())
            share = 0.1 * labelled / (0.1 * labelled + 0.9 * other) if labelled + other > 0 else None
            if share is not None:
                expected = share * 20 + (1 - share) * (0.9 * P[s, a] @ found.v - 2)
                assert found.q[s, a] == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(found.v, 2 * np.log((mu * np.exp(found.q / 2)).sum(1)), atol=1e-9)


def test_a_sparse_chain_has_the_fixed_point_of_a_dense_one():
    mixed = 0.9 * D_S + 0.1 * D_E
    chain = sparse.csr_matrix(np.asarray(MDP.P, np.float64).reshape(15, 5))
    found = released_fixed_point(chain, 0.9, D_E, mixed)
    np.testing.assert_allclose(found.v, recoil_released(MDP, D_E, mixed).v, atol=1e-10)
