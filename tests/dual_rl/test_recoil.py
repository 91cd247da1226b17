"""ReCOIL as released against its fixed point on tables, and three readings of what follows a termination.

The readings are compared with tables that keep the last state. There are five states and a sixth that ends
the episode. In the ground truth it is a state like any other, absorbing, where expert and data stay; the
algorithm sees transitions that terminate, and never that state.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Discrete
from jaxrl.data.dataset import from_occupancy
from jaxrl.dual_rl import forms
from jaxrl.dual_rl.data import Data
from jaxrl.envs.tabular.mdp import make_mdp
from tests.dual_rl.dual_tables import (
    BOX,
    KEYS,
    OBS,
    TABLE,
    check_data_parallel,
    check_that_rewards_are_not_read,
    dataset,
    policy_table,
    quick,
    table_of,
    train,
)
from theory.dual_rl.imitation import recoil_released
from theory.dual_rl.reference import reference_problem

S, A, GAMMA, GAP = 6, 3, 0.9, 2.0
PROBLEM = reference_problem()


def problem():
    """The MDP, and distributions of the expert and of unlabelled data over the five states that do not
    end."""
    s, a, t = np.ogrid[:S, :A, :S]
    transitions = 1.0 * ((2 * s + 3 * a + s * a + 1) % S == t)
    with jax.enable_x64(True):
        made = make_mdp(transitions, np.zeros((S, A)), 0, GAMMA, [5])
    rng = np.random.default_rng(0)
    expert, mixed = rng.dirichlet(np.ones(15), 2).reshape(2, 5, A)
    expert[np.arange(5), rng.integers(0, A, 5)] = 0
    expert, mixed = (np.concatenate([d / d.sum(), np.zeros((1, A))]) for d in (expert, mixed))
    return jax.tree.map(np.asarray, made), expert, mixed


MDP, EXPERT, MIXED = problem()


def ends(d):
    """Share of `d` `[S, A]` that enters the last state."""
    return float((d * np.asarray(MDP.P)[:, :, 5]).sum())


def kept(d, weight):
    """`d` with `weight` at the last state, spread over its actions."""
    return d + weight / A * np.eye(S)[5][:, None]


# what each reading says about who stays in the last state: nobody but the data; both, as often as they end;
# and with such shares that its value is 0, (dE G - dmix g = 0)
GROUND = {
    "target": (0.0, ends(MIXED)),
    "absorbing": (ends(EXPERT), ends(MIXED)),
    "masked": (ends(MIXED) * (1 - GAMMA), ends(MIXED)),
}
FALL = ((0.2, 0.2, 2500), (0.02, 0.02, 1500), (0.002, 0.002, 1500), (2e-4, 2e-4, 1000))


@pytest.fixture(scope="module")
def found():
    """V `[5]` and policy `[5, A]` by reading: one program, whose readings differ in `State.end`."""
    configs = [forms.config("ReCOIL released", terminals=name, **TABLE) for name in GROUND]
    algorithms = [forms.algorithm(config, Discrete(5), KEYS) for config in configs]
    shared = forms.hyper(configs[0], gamma=GAMMA, tau=0.2, clip=1e6, parameter=2.0, gap=GAP)

    def init(keys, hypers, data):
        first = quick(jax.vmap(algorithms[0].init, (0, 0, None)))(keys, hypers, data)
        ends = [quick(lambda k, d, a=a: a.init(k, shared, d).end)(keys[0], data) for a in algorithms]
        return first.replace(end=jnp.stack(ends))

    data = Data(from_occupancy(MIXED, MDP), from_occupancy(EXPERT, MDP))
    params, _ = train(configs[0], [shared] * 3, data, FALL, init)
    v, policy = table_of(params["v"])[..., 0], policy_table(params)
    return {name: (v[i], policy[i]) for i, name in enumerate(GROUND)}


@pytest.mark.parametrize("terminals", GROUND)
def test_each_reading_is_a_table_that_keeps_its_last_state(found, terminals):
    stays_e, stays_mix = GROUND[terminals]
    exact = recoil_released(MDP, kept(EXPERT, stays_e), kept(MIXED, stays_mix), temperature=2.0, gap=GAP)
    v, policy = found[terminals]
    np.testing.assert_allclose(v, exact.v[:5], atol=2e-3)
    np.testing.assert_allclose(policy, exact.policy[:5], atol=2e-3)
    at_rest = {"target": -GAP / (1 - GAMMA), "masked": 0.0}
    assert terminals not in at_rest or exact.v[5] == pytest.approx(at_rest[terminals], abs=1e-9)


def test_the_readings_differ(found):
    """And an expert who ends makes the end desirable, which the released target never does."""
    assert min(ends(EXPERT), ends(MIXED)) > 0.02
    levels = [found[name][0].mean() for name in ("target", "masked", "absorbing")]
    assert levels[0] < levels[1] - 0.1 and levels[0] < levels[2] - 0.1


def test_the_end_of_data_without_ends_is_finite():
    config = forms.config("ReCOIL released", terminals="absorbing", batch_size=4, widths=())
    rows = dataset(KEYS)
    endless = rows.replace(terminated=jnp.zeros_like(rows.terminated))
    algorithm, hyper = forms.algorithm(config, OBS, KEYS), forms.hyper(config)
    end = quick(lambda d: algorithm.init(jax.random.key(0), hyper, d).end)(Data(endless, endless))
    assert float(end) == pytest.approx(-2 / 0.01, rel=1e-4)


def test_recoil_as_released_and_at_another_weight():
    config = forms.config("ReCOIL released", **TABLE)
    mixed = 0.9 * PROBLEM.d_s + 0.1 * PROBLEM.d_e
    data = Data(from_occupancy(mixed, PROBLEM.mdp), from_occupancy(PROBLEM.d_e, PROBLEM.mdp))
    members = ((1.0, 0.5), (5.0, 0.5), (5.0, 0.2))
    hypers = [forms.hyper(config, gamma=0.9, tau=0.2, clip=1e6, parameter=t, beta=b) for t, b in members]
    params, _ = train(config, hypers, data, FALL)
    for i, (temperature, beta) in enumerate(members):
        exact = recoil_released(PROBLEM.mdp, PROBLEM.d_e, mixed, temperature=temperature, beta=beta)
        np.testing.assert_allclose(table_of(params["v"])[i, :, 0], exact.v, atol=1e-3)
        np.testing.assert_allclose(policy_table(params)[i], exact.policy, atol=1e-3)


def test_rewards_are_never_read():
    check_that_rewards_are_not_read("ReCOIL released")


def test_a_missing_expert_is_named():
    config = forms.config("ReCOIL released", batch_size=8, widths=())
    algorithm = forms.algorithm(config, OBS, BOX)
    with pytest.raises(UsageError, match=r"Data\.expert: ReCOIL released needs it"):
        jax.eval_shape(algorithm.init, jax.random.key(0), forms.hyper(config), Data(dataset(BOX)))


def test_four_devices_take_the_steps_of_one():
    check_data_parallel("ReCOIL released", BOX)
