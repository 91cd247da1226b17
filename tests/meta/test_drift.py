"""Drifts beside vectors that were computed elsewhere, their conditions, and PPO as one of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.meta import drift
from jaxrl.meta.objective import MASKS, Objective, Time

POINTS = [(0.5, 1), (0.5, -1), (0.9, 0.5), (1, 2), (1.1, -0.7), (1.5, 1), (1.5, -1), (3, 2)]
RATIO, ADVANTAGE = (jnp.array(x, jnp.float32) for x in zip(*POINTS, strict=True))
VECTORS = {  # of an independent implementation
    "LPO": [0, 0, 0, 0, 0.04224342, 0, 0.18762208, 0],
    "LPO, from PPO": [0, 0, 0, 0, 0.04224342, 0.10943994, 0.18762208, 2.41101321],
    "half": [0, 0.15478086, 0, 0, 0.02684908, 0.22938588, 0.17214214, 2.40655579],
    "end": [0, 0.47407839, 0, 0, 0.01142361, 0.35004176, 0.15233764, 3.10090702],
    "DPO": [0, 0.20145660, 0, 0, 0, 0.01016268, 0, 2.07194484],
    "PPO": [0, 0.3, 0, 0, 0, 0.3, 0, 3.6],
}


def weights(blocks, hidden=4):
    i, j = np.meshgrid(np.arange(8 * blocks), np.arange(hidden), indexing="ij")
    return {
        "W1": jnp.array(0.5 * np.sin(0.9 * (hidden * i + j + 1) + 0.3), jnp.float32),
        "w2": jnp.array(0.8 * np.sin(1.7 * (np.arange(hidden) + 1) + 0.1), jnp.float32),
    }


def value(objective, phi=None, n=0.0, N=1.0, ratio=RATIO, advantage=ADVANTAGE, mask=MASKS["paper"]):
    own = objective.init(jax.random.key(0)) | (phi or {})
    return objective.apply(own, ratio, jnp.log(ratio), advantage, Time(n, N, mask))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("LPO", lambda: value(drift.lpo(hidden=4), weights(1))),
        ("LPO, from PPO", lambda: value(drift.lpo("ppo", 4), weights(1))),
        ("half", lambda: value(drift.ta_lpo("ppo", 4), weights(2), 0.5)),
        ("end", lambda: value(drift.ta_lpo("ppo", 4), weights(2), 1.0)),
        ("DPO", lambda: value(drift.dpo())),
        ("PPO", lambda: value(drift.ppo())),
    ],
)
def test_drifts_are_those_of_the_reference(name, found):
    np.testing.assert_allclose(found(), VECTORS[name], atol=1e-6)


def test_a_plain_time_aware_drift_changes_with_progress():
    rule, phi = drift.ta_lpo(hidden=4), weights(2)
    assert float(value(rule, phi, 0.5)[5]) == 0
    assert float(value(rule, phi, 1.0)[5]) == pytest.approx(0.05004176, abs=1e-6)


def test_time_aware_drifts_contain_the_blind_one():
    """At n/N = 0, with the mask of zeros, and with ln N at its reference: the first eight rows."""
    phi = weights(3)
    first = {"W1": phi["W1"][:8], "w2": phi["w2"]}
    blind = value(drift.lpo(hidden=4), first)
    two = {"W1": phi["W1"][:16], "w2": phi["w2"]}
    assert np.array_equal(blind, value(drift.ta_lpo(hidden=4), two, 0.0))
    assert np.array_equal(blind, value(drift.ta_lpo(hidden=4), two, 0.7, mask=MASKS["none"]))
    long = drift.ta_lpo(hidden=4, features=24, reference=10.0)
    summed = {"W1": phi["W1"][:8] + phi["W1"][16:], "w2": phi["w2"]}
    np.testing.assert_allclose(
        value(long, phi, 0.0, 10.0), value(drift.lpo(hidden=4), summed, 0.0), atol=1e-6
    )


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_conditions_hold_for_every_network(scale):
    """f >= 0 everywhere, f = 0 and df/dr = 0 at r = 1: 40 networks, advantages in [-5, 5], any progress."""
    rng = np.random.default_rng(0)
    rule = drift.ta_lpo("ppo", hidden=16)
    ratio = jnp.array(np.exp(rng.uniform(np.log(0.01), np.log(100), 64)), jnp.float32)
    advantage = jnp.array(rng.uniform(-5, 5, 64), jnp.float32)

    @jax.jit
    def measured(phi, n):
        phi = rule.init(jax.random.key(0)) | phi
        apply = partial(rule.apply, phi)
        one = jax.vmap(jax.grad(lambda r, A: apply(r, jnp.log(r), A, Time(n, 1.0))))
        away = apply(ratio, jnp.log(ratio), advantage, Time(n, 1.0))
        at = apply(jnp.ones(64), jnp.zeros(64), advantage, Time(n, 1.0))
        return away.min(), jnp.abs(at).max(), jnp.abs(one(jnp.ones(64), advantage)).max()

    for _ in range(40):
        phi = {"W1": rng.normal(size=(16, 16)), "w2": rng.normal(size=16)}
        phi = {k: jnp.array(scale * x, jnp.float32) for k, x in phi.items()}
        least, at_one, slope = measured(phi, jnp.float32(rng.uniform()))
        assert float(least) >= 0 and float(at_one) == 0 and float(slope) == 0


def test_the_drift_of_ppo_is_the_clipped_surrogate():
    rng = np.random.default_rng(1)
    ratio = jnp.array(np.exp(rng.normal(size=200)), jnp.float32)
    advantage = jnp.array(rng.normal(size=200), jnp.float32)
    hyper = ppo.Hyper()
    clipped = ppo.clipped_surrogate(ratio, advantage, jnp.zeros(()), {"hyper": hyper})
    np.testing.assert_allclose(ratio * advantage - drift.ppo_drift(ratio, advantage, 0.2), clipped, atol=1e-5)


def test_a_network_that_says_nothing_updates_as_ppo_does():
    """Epochs of minibatches on steps that were drawn at random; what is before them does not see a drift."""
    config = ppo.Config(n_envs=4, length=8, epochs=2, minibatches=2, widths=(4,))
    nets = ppo.networks(config, Tabular.of(random_mdp(jax.random.key(0), 4, 3, gamma=0.9)))
    k_params, *keys = jax.random.split(jax.random.key(2), 6)
    params = nets.init(k_params)
    x = jax.vmap(jax.vmap(nets.encode))(jax.random.randint(keys[0], (8, 4), 0, 4))
    raw = jax.random.randint(keys[1], (8, 4), 0, 3)
    advantage, target = (jax.random.normal(k, (8, 4)) for k in keys[2:4])
    log_prob = nets.head.log_prob(nets.actor.apply(params["actor"], x), raw)
    value = nets.critic.apply(params["critic"], x)
    samples = ppo.Samples(x, raw, log_prob, value, target, advantage, advantage, (), ())
    optimiser = optax.scale_by_adam(eps=1e-5)
    state = ppo.State(params, optimiser.init(params), (), (), (), keys[4], jnp.zeros((), jnp.int32))

    def updated(surrogate, hyper):
        parts = ppo.Parts(config, nets, surrogate, ppo.gae, optimiser, None)
        learn = jax.jit(lambda hyper: ppo.proximal_epochs(parts, state, samples, hyper, keys[4])[0])
        return jax.tree.leaves(learn(hyper))

    rule, hyper = drift.lpo("ppo", hidden=4), ppo.Hyper(lr=0.3)
    phi = rule.init(jax.random.key(1))
    phi["parts"] = phi["parts"]._replace(xi=0.0)
    expected = updated(ppo.clipped_surrogate, hyper)
    found = updated(drift.drift(rule), hyper.replace(surrogate=(phi, jnp.array(MASKS["none"]))))
    constant = updated(drift.drift(rule, phi), hyper)
    unclipped = updated(lambda r, A, *rest: r * A, hyper)
    for a, b, c in zip(expected, found, constant, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
        np.testing.assert_allclose(a, c, atol=1e-6)
    assert max(float(jnp.abs(a - b).max()) for a, b in zip(expected, unclipped, strict=True)) > 1e-4


def test_schedules_scale_learning_rate_clip_and_entropy():
    hyper = ppo.Hyper(lr=0.1, entropy=0.02)
    annealed = drift.ppo(0.4, (1.0, 0.5, 0.0))
    own = annealed.schedule(annealed.init(jax.random.key(0)), hyper, Time(3.0, 4.0))
    np.testing.assert_allclose([own.lr, own.clip, own.entropy], [0.025, 0.25, 0.02], rtol=1e-6)
    rule = drift.scheduled_ppo()
    phi = rule.init(jax.random.key(0)) | {"schedule": jnp.array([[0.1, -1.0], [0.2, 0.5], [0.0, 1.0]])}
    own = rule.schedule(phi, hyper, Time(1.0, 2.0))
    expected = [0.1 * np.exp(0.1 - 0.5), 0.2 * np.exp(0.2 + 0.25), 0.02 * np.exp(0.5)]
    np.testing.assert_allclose([own.lr, own.clip, own.entropy], expected, rtol=1e-6)
    clip = 0.2 * np.exp(0.2 + 0.25)
    found = rule.apply(phi, jnp.float32(1.5), jnp.log(1.5), jnp.float32(1.0), Time(1.0, 2.0))
    assert float(found) == pytest.approx(0.5 - clip, abs=1e-6)


def test_a_learning_rate_that_is_annealed_to_zero_stays_there_beyond_the_horizon_told():
    mdp = random_mdp(jax.random.key(0), 4, 3, gamma=0.9)
    config = ppo.Config(n_envs=1, length=1, epochs=1, minibatches=1, widths=())
    rule = drift.ppo(0.2, (1.0, 0.0, 0.0))

    def learn(parts, state, samples, hyper, key):
        return state.params, state.opt_state, {"lr": hyper.lr}

    algorithm = drift.learner(config, Tabular.of(mdp), rule, learn)
    hyper = drift.told(ppo.Hyper(lr=0.05), rule.init(jax.random.key(0)), 2.0, jnp.array(MASKS["none"]))
    state = jax.jit(algorithm.init)(jax.random.key(2), hyper, mdp)
    step = jax.jit(lambda n: algorithm.step(state.replace(updates=n), hyper, mdp)[1]["lr"])
    np.testing.assert_allclose([step(jnp.int32(n)) for n in (0, 1, 2, 8)], [0.05, 0.025, 0, 0], rtol=1e-6)


def test_what_is_annealed_may_be_a_list_or_an_array():
    for shares in ([1.0, 0.0, 0.0], np.array([1.0, 0.0, 0.0])):
        rule = drift.ppo(0.2, shares)
        own = rule.schedule(rule.init(jax.random.key(0)), ppo.Hyper(lr=0.1), Time(3.0, 4.0))
        assert float(own.lr) == pytest.approx(0.025)
    assert drift.ppo(0.2, [0.0, 0.0, 0.0]).schedule is None


def test_rules_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="blocks: a drift has 1, 2"):
        drift.family(blocks=4)
    with pytest.raises(UsageError, match="TA-LPO has 16"):
        drift.ta_lpo(features=8)
    with pytest.raises(UsageError, match="initial"):
        drift.lpo("PPO")
    for wrong, says in (
        (lambda: drift.ppo(-1.0), r"clip: must be in \[0, inf\], got -1"),
        (lambda: drift.ppo(0.2, (5.0, 0, 0)), r"anneal\[0\]: must be in \[0, 1\]"),
        (lambda: drift.ppo(0.2, (0.5, 0.5)), "anneal: must be 3 values"),
        (lambda: drift.ppo(np.inf, (0, 1, 0)), "anneal: an infinite clip"),
        (lambda: drift.lpo(hidden=-1), "hidden: must be >= 1"),
        (lambda: drift.family(hidden=0), "hidden: must be >= 1"),
        (lambda: drift.ta_lpo(features=24, reference=1.0), "reference: must be above 1"),
        (
            lambda: drift.padded(weights(1, 40) | {"parts": drift.Parts()}, 32, 2),
            "40 units, the family 2 and",
        ),
    ):
        with pytest.raises(UsageError, match=says):
            wrong()
    other = Objective(lambda key: (), lambda phi: phi, "targets", name="LPG")
    with pytest.raises(UsageError, match='LPG is of the slot "targets"'):
        drift.drift(other)
