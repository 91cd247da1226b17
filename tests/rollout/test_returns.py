"""Every estimator against a Python loop over one environment, written from the definition as a sum."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Transition
from jaxrl.rollout import returns
from jaxrl.rollout.unroll import start, unroll
from tests.rollout.rollout_toys import Counter, constant_policy

rlax = pytest.importorskip("rlax")

T, N, M = 9, 3, 2


def random_window(seed, *, m=None, dtype=np.float32, cuts=0.3):
    """Random rewards, values, masks and ratios; truncation and termination exclude one another."""
    rng = np.random.default_rng(seed)
    shape = (T, N) if m is None else (T, N, m)
    terminated = rng.random((T, N)) < cuts / 2
    truncated = (rng.random((T, N)) < cuts / 2) & ~terminated
    gamma, lambda_ = rng.random(2)
    arrays = dict(
        reward=rng.normal(size=shape),
        value=rng.normal(size=shape),
        next_value=rng.normal(size=shape),
        discount=gamma * (1.0 - terminated),
        rho=rng.uniform(0, 2, (T, N)),
        c=rng.uniform(0, 1, (T, N)),
    )
    w = {k: v.astype(dtype) for k, v in arrays.items()}
    return w | dict(cut=terminated | truncated, lambda_=float(lambda_))


# --- the definitions, one environment at a time, as sums over k rather than recursions --------------------


def columns(fn):
    """Applies a loop over one scalar column to every (environment, component)."""

    def on_window(w, **more):
        reward = w["reward"]
        wide = reward.reshape(T, N, -1)
        out = [np.empty(wide.shape), np.empty(wide.shape)]
        for i in range(N):
            for j in range(wide.shape[2]):
                col = {
                    k: v.reshape(T, N, -1)[:, i, min(j, v.reshape(T, N, -1).shape[2] - 1)].astype(np.float64)
                    for k, v in w.items()
                    if k != "lambda_"
                }
                result = fn(**col, lambda_=w["lambda_"], **more)
                for o, x in zip(out, result if isinstance(result, tuple) else (result,), strict=False):
                    o[:, i, j] = x
        return [o.reshape(reward.shape) for o in out]

    return on_window


def last_of(t, cut):
    """Index of the last step of the episode of step t inside the window."""
    while t < T - 1 and not cut[t]:
        t += 1
    return t


@columns
def loop_gae(reward, value, next_value, discount, cut, lambda_, **_):
    out = np.zeros(T)
    for t in range(T):
        weight = 1.0
        for k in range(t, last_of(t, cut) + 1):
            out[t] += weight * (reward[k] + discount[k] * next_value[k] - value[k])
            weight *= discount[k] * lambda_
    return out


@columns
def loop_n_step(reward, next_value, discount, cut, n, **_):
    out = np.zeros(T)
    for t in range(T):
        last = min(last_of(t, cut), t + n - 1)
        weight = 1.0
        for k in range(t, last + 1):
            out[t] += weight * reward[k]
            weight *= discount[k]
        out[t] += weight * next_value[last]
    return out


@columns
def loop_lambda_returns(reward, next_value, discount, cut, lambda_, **_):
    """Mixture of all n-step returns with weights (1 - lambda) lambda^(n-1), the rest on the longest."""
    out = np.zeros(T)
    for t in range(T):
        last = last_of(t, cut)
        so_far, weight = 0.0, 1.0
        for k in range(t, last + 1):
            so_far += weight * reward[k]
            weight *= discount[k]
            share = lambda_ ** (k - t) * (1.0 if k == last else 1 - lambda_)
            out[t] += share * (so_far + weight * next_value[k])
    return out


@columns
def loop_monte_carlo(reward, discount, cut, **_):
    out, complete = np.zeros(T), np.zeros(T)
    for t in range(T):
        weight = 1.0
        for k in range(t, last_of(t, cut) + 1):
            out[t] += weight * reward[k]
            weight *= discount[k]
        complete[t] = weight == 0
    return out, complete


@columns
def loop_reward_to_go(reward, cut, **_):
    return np.array([reward[t : last_of(t, cut) + 1].sum() for t in range(T)])


@columns
def loop_vtrace(reward, value, next_value, discount, cut, rho, c, **_):
    """Espeholt et al. 2018, equation (1): v_s = V(s) + sum_t gamma^(t-s) (prod c) rho_t delta_t."""
    target = value.copy()
    for t in range(T):
        weight = 1.0
        for k in range(t, last_of(t, cut) + 1):
            target[t] += weight * rho[k] * (reward[k] + discount[k] * next_value[k] - value[k])
            weight *= discount[k] * c[k]
    advantage = np.zeros(T)
    for t in range(T):
        later = next_value[t] if t == last_of(t, cut) else target[t + 1]
        advantage[t] = rho[t] * (reward[t] + discount[t] * later - value[t])
    return target, advantage


@columns
def loop_retrace(reward, value, next_value, discount, cut, c, **_):
    """Munos et al. 2016: Q + sum_k gamma^k (prod_{1..k} c) delta_k; the first action has no trace."""
    target = value.copy()
    for t in range(T):
        weight = 1.0
        for k in range(t, last_of(t, cut) + 1):
            weight *= 1.0 if k == t else discount[k - 1] * c[k]
            target[t] += weight * (reward[k] + discount[k] * next_value[k] - value[k])
    return target


@columns
def loop_per_decision(reward, next_value, discount, cut, rho, **_):
    out = np.zeros(T)
    for t in range(T):
        last, weight = last_of(t, cut), 1.0
        for k in range(t, last + 1):
            weight *= rho[k]
            out[t] += weight * reward[k]
            weight *= discount[k]
        out[t] += weight * next_value[last]
    return out


ESTIMATORS = {
    "gae": (
        lambda w: returns.gae(*pick(w, "reward value next_value discount cut lambda_")),
        loop_gae,
    ),
    "lambda_returns": (
        lambda w: returns.lambda_returns(*pick(w, "reward next_value discount cut lambda_")),
        loop_lambda_returns,
    ),
    "n_step_1": (lambda w: returns.n_step(*pick(w, "reward next_value discount cut"), 1), loop_n_step),
    "n_step_4": (lambda w: returns.n_step(*pick(w, "reward next_value discount cut"), 4), loop_n_step),
    "n_step_20": (lambda w: returns.n_step(*pick(w, "reward next_value discount cut"), 20), loop_n_step),
    "monte_carlo": (lambda w: returns.monte_carlo(*pick(w, "reward discount cut")), loop_monte_carlo),
    "reward_to_go": (lambda w: returns.reward_to_go(*pick(w, "reward cut")), loop_reward_to_go),
    "vtrace": (
        lambda w: tuple(returns.vtrace(*pick(w, "reward value next_value discount cut rho c"))),
        loop_vtrace,
    ),
    "retrace": (
        lambda w: returns.retrace(*pick(w, "reward value next_value discount cut c")),
        loop_retrace,
    ),
    "per_decision": (
        lambda w: returns.per_decision_importance_sampling(*pick(w, "reward next_value discount cut rho")),
        loop_per_decision,
    ),
}


def pick(w, names):
    return [w[name] for name in names.split()]


def expected(name, w):
    loop = ESTIMATORS[name][1]
    return loop(w, n=int(name.split("_")[-1])) if name.startswith("n_step") else loop(w)


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


def on_device(w):
    return jax.tree.map(jnp.asarray, w)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_against_loop_on_200_random_windows(name):
    """Check 4: random masks, 1e-5; the 200 windows are one vmapped call."""
    windows = [random_window(seed, cuts=0.6 * (seed % 5) / 4) for seed in range(200)]
    stacked = jax.tree.map(lambda *x: jnp.asarray(np.stack(x)), *windows)
    out = jax.jit(jax.vmap(ESTIMATORS[name][0]))(stacked)
    for i, w in enumerate(windows):
        for got, want in zip(as_tuple(out), expected(name, w), strict=False):
            np.testing.assert_allclose(got[i], want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_vector_rewards_and_float64(name):
    with jax.enable_x64(True):
        w = random_window(7, m=M, dtype=np.float64)
        out = as_tuple(ESTIMATORS[name][0](on_device(w)))
        assert out[0].dtype == jnp.float64
        for got, want in zip(out, expected(name, w), strict=False):
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


class TestVariants(chex.TestCase):
    @chex.all_variants(without_device=False, with_pmap=False)
    def test_every_estimator_in_every_variant(self):
        w = random_window(3)
        for name, (fn, _) in ESTIMATORS.items():
            for got, want in zip(as_tuple(self.variant(fn)(on_device(w))), expected(name, w), strict=False):
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5, err_msg=name)


def test_gae_vmaps_over_gamma_and_lambda():
    w = random_window(5)
    alive = w["discount"] > 0
    gammas, lambdas = jnp.array([0.0, 0.5, 0.99]), jnp.array([0.0, 0.9, 1.0])

    def one(gamma, lambda_):
        return returns.gae(*pick(w, "reward value next_value"), gamma * alive, w["cut"], lambda_)

    out = jax.vmap(one)(gammas, lambdas)
    for i in range(3):
        v = w | dict(discount=np.asarray(gammas[i] * alive), lambda_=float(lambdas[i]))
        np.testing.assert_allclose(out[i], loop_gae(v)[0], rtol=1e-5, atol=1e-5)


def test_gae_gradient_reaches_a_learned_discount_and_lambda():
    """Against central differences in float64: nothing inside the estimators stops gradients."""
    with jax.enable_x64(True):
        w = random_window(6, dtype=np.float64)

        def total(x):
            discount, lambda_ = x
            return returns.gae(*pick(w, "reward value next_value"), discount, w["cut"], lambda_).sum()

        x = (jnp.asarray(w["discount"]), jnp.asarray(0.7))
        grads = jax.grad(total)(x)
        e = np.zeros((T, N))
        e[4, 1] = 1e-6
        numeric = (total((x[0] + e, x[1])) - total((x[0] - e, x[1]))) / 2e-6
        np.testing.assert_allclose(grads[0][4, 1], numeric, rtol=1e-6, atol=1e-8)
        numeric = (total((x[0], x[1] + 1e-6)) - total((x[0], x[1] - 1e-6))) / 2e-6
        np.testing.assert_allclose(grads[1], numeric, rtol=1e-6, atol=1e-8)


def test_gae_accepts_lambda_per_step():
    w = random_window(8)
    same = returns.gae(*pick(w, "reward value next_value discount cut"), jnp.full((T, N), w["lambda_"]))
    np.testing.assert_allclose(same, loop_gae(w)[0], rtol=1e-5, atol=1e-5)


def test_average_reward_gae():
    """Differential errors with rate 0.3 and no discount, by the loop with rewards shifted by hand."""
    w = random_window(9)
    out = returns.average_reward_gae(*pick(w, "reward value next_value cut"), 0.3, w["lambda_"])
    shifted = w | dict(reward=w["reward"] - 0.3, discount=np.ones((T, N)))
    np.testing.assert_allclose(out, loop_gae(shifted)[0], rtol=1e-5, atol=1e-5)


def test_average_reward_gae_is_zero_for_the_true_differential_values():
    """Two states in turn with rewards 0 and 1: rate 1/2, differential values -1/4 and 1/4."""
    s = np.arange(T)[:, None] % 2
    value = jnp.asarray(np.where(s == 0, -0.25, 0.25))
    reward = jnp.asarray(s.astype(np.float32))
    out = returns.average_reward_gae(reward, value, -value, jnp.zeros((T, 1), bool), 0.5, 0.9)
    np.testing.assert_array_equal(out, np.zeros((T, 1)))


@pytest.mark.parametrize("seed", range(5))
def test_parity_with_rlax(seed):
    """rlax has no cuts: one uncut column, with its single array of discounts."""
    w = {k: v[:, 0] if np.ndim(v) else v for k, v in random_window(seed, cuts=0.0).items()}
    reward, discount = jnp.asarray(w["reward"]), jnp.asarray(w["discount"])
    values = np.append(w["value"], w["next_value"][-1])
    value, next_value = jnp.asarray(values[:-1]), jnp.asarray(values[1:])
    lam, cut = w["lambda_"], jnp.zeros((T, 1), bool)
    col = {"rtol": 1e-5, "atol": 1e-5}

    ours = returns.lambda_returns(reward[:, None], next_value[:, None], discount[:, None], cut, lam)[:, 0]
    np.testing.assert_allclose(ours, rlax.lambda_returns(reward, discount, next_value, lam), **col)
    ours = returns.n_step(reward[:, None], next_value[:, None], discount[:, None], cut, 3)[:, 0]
    np.testing.assert_allclose(ours, rlax.n_step_bootstrapped_returns(reward, discount, next_value, 3), **col)
    ours = returns.gae(reward[:, None], value[:, None], next_value[:, None], discount[:, None], cut, lam)[
        :, 0
    ]
    theirs = rlax.truncated_generalized_advantage_estimation(reward, discount, lam, jnp.asarray(values))
    np.testing.assert_allclose(ours, theirs, **col)

    rho = jnp.minimum(1.0, jnp.asarray(w["rho"]))
    args = [x[:, None] for x in (reward, value, next_value, discount)]
    ours = returns.vtrace(*args, cut, rho[:, None], rho[:, None])
    theirs = rlax.vtrace_td_error_and_advantage(value, next_value, reward, discount, jnp.asarray(w["rho"]))
    np.testing.assert_allclose(ours.target[:, 0] - value, theirs.errors, **col)
    np.testing.assert_allclose(ours.advantage[:, 0], theirs.pg_advantage, **col)

    q, c = value, jnp.asarray(w["c"])
    ours = returns.retrace(*args, cut, c[:, None])[:, 0]
    theirs = rlax.general_off_policy_returns_from_q_and_v(q[1:], next_value, reward, discount, c[1:])
    np.testing.assert_allclose(ours, theirs, **col)


def window(value, *, end=None, vector=False, length=12, limit=5, gamma=0.9, lambda_=0.95):
    """Advantages of `Counter` with the value function `value` of the observation."""
    env = Counter(end=end, vector=vector)
    policy, params = constant_policy(), env.default_params()
    vec = start(env, policy, jax.random.key(0), params, 2)
    _, batch, _ = unroll(env, policy, vec, jax.random.key(1), params, length=length, limit=limit)
    discount, cut = returns.discount_and_cut(batch, gamma)
    both = [returns.batched_apply(value, obs, rows=5) for obs in (batch.obs, batch.next_obs)]
    return batch, returns.gae(batch.reward, *both, discount, cut, lambda_)


def test_constant_value_gives_zero_advantages():
    _, advantages = window(lambda obs: jnp.full((), 10.0))
    np.testing.assert_array_equal(advantages, np.zeros((12, 2)))


@pytest.mark.parametrize(("x64", "rtol"), [(False, 1e-6), (True, 1e-9)])
def test_advantages_of_an_episode_and_of_a_cut_window_by_hand(x64, rtol):
    with jax.enable_x64(x64):
        _, advantages = window(lambda obs: obs)
        assert advantages.dtype == (jnp.float64 if x64 else jnp.float32)
    episode = [6.48338103, 5.36067956, 4.1645375, 2.8825, 1.5]
    for i in range(2):
        np.testing.assert_allclose(advantages[:5, i], episode, rtol)
        np.testing.assert_array_equal(advantages[5:10, i], advantages[:5, i])
        np.testing.assert_allclose(advantages[10:, i], [3.439, 1.8], rtol)


def test_vector_rewards_by_column():
    _, scalar = window(lambda obs: obs)
    _, vector = window(lambda obs: jnp.array([1.0, 2.0]) * obs, vector=True)
    np.testing.assert_array_equal(vector[..., 0], scalar)
    np.testing.assert_array_equal(vector[..., 1], 2 * scalar)


def test_termination_wins_over_the_limit():
    batch, advantages = window(lambda obs: jnp.full((), 10.0), end=5)
    assert not batch.truncated.any()
    np.testing.assert_array_equal(batch.terminated[:, 0], [t % 5 == 4 for t in range(12)])
    np.testing.assert_allclose(advantages[4], [1.0 - 10.0] * 2)


def transitions(terminated, truncated):
    zeros = jnp.zeros(terminated.shape)
    return Transition(zeros, zeros, zeros, zeros, terminated, truncated, (), {})


def test_discount_and_cut_by_hand():
    terminated = jnp.array([[False], [True], [False]])
    truncated = jnp.array([[False], [False], [True]])
    batch = transitions(terminated, truncated)
    discount, cut = returns.discount_and_cut(batch, 0.5)
    np.testing.assert_array_equal(discount[:, 0], [0.5, 0.0, 0.5])
    np.testing.assert_array_equal(cut[:, 0], [False, True, True])
    discount, cut = returns.discount_and_cut(batch, 0.5, bootstrap_truncated=False)
    np.testing.assert_array_equal(discount[:, 0], [0.5, 0.0, 0.0])
    np.testing.assert_array_equal(cut[:, 0], [False, True, True])
    learned, _ = returns.discount_and_cut(batch, jnp.array([[0.1], [0.2], [0.3]]))
    np.testing.assert_allclose(learned[:, 0], [0.1, 0.0, 0.3])


@pytest.mark.parametrize("rows", [1, 7, 12, 1024])
def test_batched_apply_is_the_map_over_rows(rows):
    tree = {"a": jnp.arange(24.0).reshape(4, 3, 2), "b": jnp.arange(12).reshape(4, 3)}
    out = returns.batched_apply(lambda x: {"y": x["a"].sum() * x["b"]}, tree, rows=rows)
    np.testing.assert_array_equal(out["y"], np.asarray(tree["a"]).sum(-1) * np.asarray(tree["b"]))


X, CUT = jnp.zeros((4, 2)), jnp.zeros((4, 2), bool)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: returns.gae(X[:, 0], X[:, 0], X[:, 0], X[:, 0], CUT[:, 0], 0.9),
            "reward: must be [T, N] or [T, N, m]",
        ),
        (
            lambda: returns.gae(X, jnp.zeros((5, 2)), X, X, CUT, 0.9),
            "value: must fit the shape of reward",
        ),
        (
            lambda: returns.gae(jnp.zeros((4, 2, 3)), X, X, X, CUT, 0.9),
            "value: must fit the shape of reward",
        ),
        (lambda: returns.lambda_returns(X, X, 0.9, CUT, 0.9), "discount: must fit"),
        (lambda: returns.gae(X, X, X, X, X, 0.9), "cut: must be bool, got float32"),
        (lambda: returns.gae(X, X, X, X, CUT, 1.1), "lambda_: must be in [0, 1], got 1.1"),
        (
            lambda: returns.lambda_returns(X, X, X, CUT, np.float32(-1)),
            "lambda_: must be in [0, 1], got",
        ),
        (
            lambda: returns.discount_and_cut(Transition(X, X, X, X, CUT, CUT, (), {}), 99),
            "gamma: must be in [0, 1], got 99",
        ),
        (lambda: returns.gae(X, X, X, X, CUT, jnp.asarray(1.1)), "lambda_: must be in [0, 1], got"),
        (lambda: returns.gae(X, X, X, X, CUT, jnp.ones(2)), "lambda_: must fit the shape of reward"),
        (lambda: returns.lambda_returns(X[:0], X[:0], X[:0], CUT[:0], 0.9), "reward: has no steps"),
        (lambda: returns.monte_carlo(X[:0], X[:0], CUT[:0]), "reward: has no steps"),
        (lambda: returns.n_step(X, X, X, CUT, 0), "n: must be >= 1, got 0"),
        (lambda: returns.n_step(X, X, X, CUT, 1.5), "n: must be an int, got 1.5"),
        (
            lambda: returns.vtrace(X, X, X, X, CUT, X, jnp.zeros((4, 1))),
            "c: must fit the shape of reward",
        ),
        (lambda: returns.batched_apply(jnp.sum, X, rows=0), "rows: must be >= 1, got 0"),
    ],
)
def test_refusals_name_the_argument(call, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        call()


def test_traced_values_of_lambda_are_not_checked():
    """A sweep over lambda cannot be checked while it is traced, and must not fail because of that."""
    jax.jit(lambda l: returns.gae(X, X, X, X, CUT, l))(jnp.asarray(2.0))


def test_calls_outside_of_jit_compile_once():
    programs = []
    for i in range(3):
        returns.gae(X + i, X, X, X, CUT, 0.9)
        programs.append(returns._backward._cache_size())
    assert programs[0] == programs[-1]
