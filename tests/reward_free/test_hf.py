"""HF-UCRL-RFE++ against a loop in numpy, its stop, schedules, certificates, policies, and what it refuses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.reward_free import plain_hf
from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import riverswim
from jaxrl.envs.tabular.known_support import KnownSupportMixture, known_support
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import random_mixture
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.with_reward import with_reward
from jaxrl.reward_free import hf
from jaxrl.reward_free.features import form_of
from jaxrl.reward_free.oracles import candidate_sets
from jaxrl.reward_free.planning import table_policy
from jaxrl.reward_free.regression import ridge
from jaxrl.reward_free.uncertainty import View
from jaxrl.rollout.evaluate import evaluate
from jaxrl.run.train import train
from tests.reward_free.mixtures import hashed, no_plan, six_lock, three_lock, uniforms


def hypers(*records):
    """Hyper-parameters of several members."""
    return jax.tree.map(lambda *x: jnp.asarray(x), *records)


def keys(*seeds):
    """Keys of members."""
    return jax.vmap(jax.random.key)(jnp.asarray(seeds, jnp.uint32))


@functools.cache
def explored(name, c_beta, seeds, episodes, **choices):
    """Members of a run in float64, and what made it: `(trained, config, hyper, mixture, algorithm)`."""
    mixture = {"three": three_lock, "six": six_lock, "hashed": hashed}[name]()
    H = {"three": 5, "six": 8, "hashed": 4}[name]
    bound = float(jnp.linalg.norm(mixture.theta))
    config = hf.Config(horizon=H, episodes=episodes, **choices)
    hyper = hf.Hyper(horizon=H, c_beta=c_beta, bound=bound)
    algorithm = hf.make(config, LinearMixture.of(mixture))
    trained = train(
        algorithm, keys(*range(seeds)), hypers(*[hyper] * seeds), mixture, updates=1, float64=True
    )
    return trained, config, hyper, mixture, algorithm


@pytest.mark.parametrize("weights", ["online", "snapshot", "none"])
def test_gram_matrices_and_plans_are_those_of_a_loop_in_numpy(weights):
    """Eight episodes on scripted uniforms, a plan in each, on the hashed mixture."""
    with jax.enable_x64(True):
        mixture = hashed()
        config = hf.Config(horizon=4, orders=3, weights=weights, ellipsoids="all")
        hyper = hf.Hyper(horizon=4, c_beta=0.03, bound=1.06, ratio=1.0, shadow=0.0)
        env, form = LinearMixture.of(mixture), form_of(mixture)
        state = hf.make(config, env).init(jax.random.key(0), hyper, mixture)
        run = jax.jit(lambda state, u: hf.episode(config, env, form, state, hyper, mixture, (u, state.key)))
        reference = plain_hf.Learner(
            np.asarray(mixture.phi), np.asarray(mixture.mu0), 4, 3, 0.03, 1.06, 0.1, weights=weights
        )
        theta = np.asarray(mixture.theta)
        for u in uniforms(8, 5):
            state = run(state, jnp.asarray(u))
            reference.episode(theta, u)
            assert reference.certificate < 4
            np.testing.assert_allclose(state.certificate, reference.certificate, rtol=1e-9)
            np.testing.assert_allclose(state.theta[0], reference.theta, rtol=1e-8)
        np.testing.assert_allclose(state.regressions.gram[:, :, 0], reference.gram, rtol=1e-9)
        np.testing.assert_allclose(state.regressions.b[:, :, 0], reference.b, rtol=1e-9)
        assert int(state.plans) == 8 and int(state.best.episode) >= 1


def test_exploration_stops_where_the_certificate_is_small_enough():
    with jax.enable_x64(True):
        mixture = three_lock()
        hyper = hf.Hyper(horizon=5, c_beta=0.02, bound=2.6306, epsilon=0.25)
        algorithm = hf.make(hf.Config(horizon=5, episodes=60), LinearMixture.of(mixture))
        trained = train(algorithm, keys(0, 1), hypers(hyper, hyper), mixture, updates=3, float64=True)
        state = trained.state
        assert np.all(state.certified > 1) and np.all(state.certificate <= 0.25)
        np.testing.assert_array_equal(state.episodes, state.certified - 1)
        assert np.all(state.updates == 3)
        np.testing.assert_array_equal(jax.vmap(hf.certificate)(state), state.best.certificate)


def test_the_model_is_a_kernel_that_plans_as_plan_does():
    with jax.enable_x64(True):
        trained, _, hyper, mixture, _ = explored("hashed", 0.03, 1, 20)
        state = jax.tree.map(lambda x: x[0], trained.state)
        Q = np.asarray(hf.model(state, mixture))
        assert Q.shape == (3, 2, 3) and Q.min() >= 0
        np.testing.assert_allclose(Q.sum(-1), 1, rtol=1e-12)
        rewards = jax.random.uniform(jax.random.key(1), (3, 4, 3, 2)) / 4
        for reward, policy in zip(rewards, hf.plan(state, hyper, mixture, rewards), strict=True):
            V = np.zeros(3)
            for h in reversed(range(4)):
                q = np.asarray(reward[h]) + Q @ V
                np.testing.assert_array_equal(policy[h], q.argmax(-1))
                V = q.max(-1)


@pytest.mark.parametrize(("pin", "first"), [(False, 1.4648), (True, 4.0)])
def test_pinned_estimates_keep_no_certificate_from_before_the_data_and_no_radius_certifies_nothing(
    pin, first
):
    """RiverSwim with known support and a radius that does not cover: without `pin` nothing is expected of
    pairs without data, and the first certificate stays the smallest one.
    """
    with jax.enable_x64(True):
        mixture = known_support(riverswim(6))
        env, form = KnownSupportMixture(6, 2, mixture.width), form_of(mixture)
        config = hf.Config(horizon=20, episodes=40, pin=pin)
        hyper = hf.Hyper(horizon=20, c_beta=0.03, bound=float(jnp.linalg.norm(mixture.theta)))
        algorithm = hf.make(config, env)
        state = algorithm.init(jax.random.key(0), hyper, mixture)
        beta = hf.radius(config, form, hyper, jnp.asarray(1)).beta
        plan = jax.jit(
            lambda state, key, beta: hf.replanned(config, form, state, hyper, mixture.mu0, beta, key)
        )
        assert abs(float(plan(state, jax.random.key(1), beta).certificate) - first) < 1e-3
        unknown = plan(state, jax.random.key(1), jnp.nan * beta)
        assert np.isnan(unknown.certificate) and int(unknown.best.episode) == 0
        best = jax.jit(algorithm.step)(state, hyper, mixture)[0].best
        if pin:
            assert int(best.episode) > 1 and float(best.certificate) < 4
        else:
            assert int(best.episode) == 1


@pytest.mark.slow
def test_horizons_and_radii_share_one_program_and_cost_no_accuracy():
    """A member of horizon 3 in a program for 4 has the numbers of one made for 3."""
    with jax.enable_x64(True):
        mixture, traces = hashed(), []
        env = LinearMixture.of(mixture)
        records = [hf.Hyper(horizon=h, c_beta=c, bound=1.06) for h in (2, 3, 4) for c in (0.1, 0.3)]
        algorithm = hf.make(hf.Config(horizon=4, episodes=20, orders=2), env)

        def step(state, hyper, data):
            traces.append(0)
            return algorithm.step(state, hyper, data)

        together = train(
            algorithm._replace(step=step), keys(*range(6)), hypers(*records), mixture, updates=2, float64=True
        )
        many = len(traces)
        alone = train(
            hf.make(hf.Config(horizon=3, episodes=20, orders=2), env),
            keys(2),
            hypers(records[2]),
            mixture,
            updates=2,
            float64=True,
        )
        np.testing.assert_allclose(
            together.state.regressions.gram[2], alone.state.regressions.gram[0], rtol=1e-12
        )
        np.testing.assert_array_equal(together.state.plan.policy[2, :3], alone.state.plan.policy[0])
        assert many <= 2  # shapes, and the program


@pytest.mark.slow
def test_lanes_of_eight_give_the_numbers_of_single_members_to_nine_digits():
    with jax.enable_x64(True):
        narrow, _, hyper, mixture, algorithm = explored("six", 0.03, 8, 20)
        wide = train(
            algorithm, keys(*range(8)), hypers(*[hyper] * 8), mixture, updates=1, float64=True, lane=8
        )
        np.testing.assert_array_equal(wide.state.plan.policy, narrow.state.plan.policy)
        np.testing.assert_allclose(
            wide.state.regressions.gram, narrow.state.regressions.gram, rtol=1e-9, atol=1e-12
        )
        np.testing.assert_allclose(wide.state.certificate, narrow.state.certificate, rtol=1e-9)


@pytest.mark.slow
def test_planned_policies_are_good_for_all_goal_rewards_of_the_six_digit_lock():
    """After 300 episodes, where uniform exploration reaches the goal once in 400 episodes."""
    with jax.enable_x64(True):
        trained, _, hyper, mixture, _ = explored("six", 0.03, 2, 300)
        rewards = (
            jnp.zeros((8, 8, 8, 3)).at[jnp.arange(8), 7, jnp.arange(8)].set(1)
        )  # state f at the last stage
        P = np.einsum("saxd,d->sax", mixture.phi, mixture.theta)
        for i in range(2):
            state = jax.tree.map(lambda x, i=i: x[i], trained.state)
            policies = np.asarray(hf.plan(state, hyper, mixture, rewards))
            for f, policy in enumerate(policies):
                V = W = np.eye(8)[f]
                for h in range(6, -1, -1):
                    V, W = (P @ V).max(-1), (P @ W)[np.arange(8), policy[h]]
                assert V[0] - W[0] <= 0.1


@pytest.mark.slow
def test_policies_run_in_evaluation_and_give_the_planned_value():
    with jax.enable_x64(True):
        trained, _, hyper, mixture, _ = explored("three", 0.1, 2, 200)
        state = jax.tree.map(lambda x: x[0], trained.state)
        rewards = jnp.zeros((1, 5, 5, 2)).at[0, 4, 3].set(1)
        policy = table_policy(hf.plan(state, hyper, mixture, rewards)[0])
        env = finite_horizon(LinearMixture.of(mixture), 5)
        paid = with_reward(env, lambda p, s, a, t: p.reward[s.h, s.env.s, a], init=lambda: rewards[0])
        params = paid.default_params()._replace(env=env.extend(mixture))
        result = evaluate(paid, policy, jax.random.key(0), params, episodes=400, limit=5)
        assert abs(float(result.returns.mean()) - 0.729) < 4 * np.sqrt(0.729 * 0.271 / 400)
        worst = hf.worst_reward(state, mixture)
        assert worst.shape == (5, 5, 2) and float(worst.max((1, 2)).sum()) == 1


def test_the_realised_radius_starts_as_the_ridge_term_and_stays_below_theory():
    with jax.enable_x64(True):
        trained, config, hyper, mixture, algorithm = explored("three", 0.1, 2, 200)
        first = algorithm.init(jax.random.key(0), hyper, mixture)
        assert abs(hf.realised_radius(config, first, hyper, mixture) - 0.404) < 0.002
        for i in range(2):
            state = jax.tree.map(lambda x, i=i: x[i], trained.state)
            assert 0.05 < hf.realised_radius(config, state, hyper, mixture) < 0.6


@pytest.mark.slow
def test_theory_radii_certify_nothing_and_cover_everything():
    with jax.enable_x64(True):
        trained, config, hyper, mixture, _ = explored("hashed", 1.0, 2, 60, beta="theory")
        np.testing.assert_array_equal(trained.state.certificate, 4)
        state = jax.tree.map(lambda x: x[0], trained.state)
        assert hf.realised_radius(config, state, hyper, mixture) < 1e-2


def test_pinned_total_mass_takes_the_certain_direction_away():
    """On a random mixture f = 1 is the first choice without pinning and never one with it."""
    with jax.enable_x64(True):
        mixture = random_mixture(jax.random.key(3), 4, 2, 3)
        form = form_of(mixture)
        for pin, expected in ((False, True), (True, False)):
            inverse = ridge(form, 1.0, pin=pin).inverse
            view = View(mixture.theta[None], inverse, inverse, jnp.ones(()))
            sets = candidate_sets(form, view, no_plan(4, 4), jax.random.key(0))
            largest = form.norm(inverse, form.phi_all(sets)).argmax(0)
            assert np.all((largest == len(sets) - 1) == expected)


@pytest.mark.slow
def test_geometric_plans_follow_their_schedule():
    with jax.enable_x64(True):
        trained, *_ = explored("three", 0.05, 1, 100, replan="geometric", growth=2.0)
        assert int(trained.state.plans[0]) == 7  # episodes 1, 2, 4, .., 64


def test_a_horizon_above_the_program_s_and_a_small_bound_are_told():
    mixture = hashed()
    algorithm = hf.make(hf.Config(horizon=4, episodes=2), LinearMixture.of(mixture))
    with pytest.raises(UsageError, match=r"Hyper.horizon: must be at most Config.horizon = 4, got 5"):
        train(algorithm, keys(0), hypers(hf.Hyper(horizon=5, bound=1.1)), mixture, updates=1)
    with pytest.warns(UserWarning, match=r"Hyper.bound: 0.5 is below \|theta\*\| = 1.05409"):
        algorithm.check_hyper(hf.Hyper(horizon=4, bound=0.5), mixture)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("horizon", 0, ">= 1"),
        ("c_beta", 0.0, "> 0 and finite"),
        ("delta", 1.0, r"in \(0, 1\)"),
        ("bound", -1.0, "> 0 and finite"),
        ("ratio", 0.5, ">= 1"),
    ],
)
def test_hyper_parameters_out_of_range_are_refused(field, value, text):
    mixture = hashed()
    algorithm = hf.make(hf.Config(horizon=4, episodes=2), LinearMixture.of(mixture))
    with pytest.raises(UsageError, match=rf"Hyper.{field}: must be {text}"):
        train(algorithm, keys(0), hypers(hf.Hyper(bound=1.1).replace(**{field: value})), mixture, updates=1)


def test_mixtures_of_other_sizes_and_steps_are_refused():
    mixture = hashed()
    algorithm = hf.make(hf.Config(horizon=4), LinearMixture.of(three_lock()))
    with pytest.raises(
        UsageError, match="data: a mixture of 3 states and 2 actions given to a learner for 5 and 2"
    ):
        algorithm.check(mixture)
    with pytest.raises(UsageError, match="one vector per step"):
        algorithm.check(mixture.replace(theta=jnp.tile(mixture.theta, (4, 1))))


def test_growth_that_is_too_large_for_the_features_is_warned_about():
    mixture = random_mixture(jax.random.key(0), 3, 2, 120)
    env = LinearMixture.of(mixture)
    with pytest.warns(UserWarning, match=r"Config.growth: 1.2 is too large for d = 120 features"):
        hf.make(hf.Config(replan="geometric", growth=1.2), env).check(mixture)
    hf.make(hf.Config(replan="geometric"), env).check(mixture)
    with pytest.raises(UsageError, match=r"Config.growth: must be > 1"):
        hf.Config(growth=1.0)


@pytest.mark.slow
def test_a_singular_gram_matrix_is_named_and_the_other_members_go_on(capfd):
    """With a bound of 1e25 the ridge weight underflows in float32: that member has no inverse."""
    mixture = three_lock()
    records = [hf.Hyper(horizon=5, bound=b) for b in (2.64, 1e25)]
    algorithm = hf.make(hf.Config(horizon=5, episodes=20), LinearMixture.of(mixture))
    trained = train(algorithm, keys(0, 1), hypers(*records), mixture, updates=2)
    assert "seed 1: 'beta' at update 0" in capfd.readouterr().err
    np.testing.assert_array_equal(trained.diverged, [False, True])
    assert int(trained.state.updates[0]) == 2
