"""Heads against the formulas written out in numpy (float64)."""

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.nets import heads

RNG = np.random.default_rng(0)
BOX = Box((-1.0, 0.0), (1.0, 4.0), (2,))


def _log_softmax(x):
    x = np.asarray(x, np.float64)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def _normal_log_prob(x, mean, log_std):
    return -0.5 * ((x - mean) / np.exp(log_std)) ** 2 - log_std - 0.5 * np.log(2 * np.pi)


def _params(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def test_categorical():
    head, p, q = heads.categorical(4), _params(5, 4), _params(5, 4)
    a = np.array([0, 1, 2, 3, 1], np.int32)
    lp, lq = _log_softmax(p), _log_softmax(q)
    np.testing.assert_allclose(head.log_prob(p, a), lp[np.arange(5), a], rtol=1e-5)
    np.testing.assert_allclose(head.entropy(p), -(np.exp(lp) * lp).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(head.kl(p, q), (np.exp(lp) * (lp - lq)).sum(-1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(head.mode(p), p.argmax(-1))
    assert head.mode(p).dtype == jnp.int32 and head.size == 4


def test_categorical_frequencies():
    # chi-square with 3 degrees of freedom: exceeds 16.27 with probability 1e-3 (the key is fixed)
    head, p = heads.categorical(4), _params(4)
    raw = jax.vmap(head.sample, (0, None))(jax.random.split(jax.random.key(0), 20_000), p)
    expected = 20_000 * np.exp(_log_softmax(p))
    assert ((np.bincount(raw, minlength=4) - expected) ** 2 / expected).sum() < 16.27


def test_multi_categorical_sums_its_parts():
    space = (Discrete(2), {"x": Discrete(3), "y": Discrete(4)})
    head, p, q = heads.multi_categorical(space), _params(6, 9), _params(6, 9)
    cuts = (slice(0, 2), slice(2, 5), slice(5, 9))
    raw = np.stack([RNG.integers(0, n, 6) for n in (2, 3, 4)], -1).astype(np.int32)
    lp, lq = [_log_softmax(p[:, c]) for c in cuts], [_log_softmax(q[:, c]) for c in cuts]
    rows = np.arange(6)
    np.testing.assert_allclose(
        head.log_prob(p, raw), sum(lp[i][rows, raw[:, i]] for i in range(3)), rtol=1e-5
    )
    np.testing.assert_allclose(head.entropy(p), sum(-(np.exp(x) * x).sum(-1) for x in lp), rtol=1e-5)
    np.testing.assert_allclose(
        head.kl(p, q), sum((np.exp(a) * (a - b)).sum(-1) for a, b in zip(lp, lq, strict=True)), rtol=1e-4
    )
    np.testing.assert_array_equal(head.mode(p), np.stack([x.argmax(-1) for x in lp], -1))
    action = head.to_action(jnp.asarray(raw[0]))
    assert int(action[0]) == raw[0, 0] and int(action[1]["y"]) == raw[0, 2]
    np.testing.assert_array_equal(head.from_action(action), raw[0])
    sampled, log_prob = head.sample_and_log_prob(jax.random.key(0), jnp.asarray(p))
    np.testing.assert_allclose(log_prob, head.log_prob(p, sampled), rtol=1e-6)


def test_normal():
    head, p, q, raw = heads.normal(BOX), _params(5, 4), _params(5, 4), _params(5, 2)
    mean, log_std = p[:, :2].astype(np.float64), p[:, 2:].astype(np.float64)
    other, log_other = q[:, :2].astype(np.float64), q[:, 2:].astype(np.float64)
    np.testing.assert_allclose(
        head.log_prob(p, raw), _normal_log_prob(raw, mean, log_std).sum(-1), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        head.entropy(p), (log_std + 0.5 * np.log(2 * np.pi * np.e)).sum(-1), rtol=1e-5, atol=1e-6
    )
    kl = log_other - log_std + (np.exp(2 * log_std) + (mean - other) ** 2) / (2 * np.exp(2 * log_other)) - 0.5
    np.testing.assert_allclose(head.kl(p, q), kl.sum(-1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(head.mode(p), p[:, :2])
    np.testing.assert_array_equal(head.to_action(jnp.array([-3.0, 9.0])), [-1.0, 4.0])


def test_tanh_normal_log_prob_and_stability():
    head, p, raw = heads.tanh_normal(BOX), _params(5, 4), _params(5, 2)
    mean, log_std = p[:, :2].astype(np.float64), p[:, 2:].astype(np.float64)
    u = raw.astype(np.float64)
    expected = (_normal_log_prob(u, mean, log_std) - np.log(1 - np.tanh(u) ** 2)).sum(-1)
    np.testing.assert_allclose(head.log_prob(p, raw), expected, rtol=1e-4, atol=1e-5)
    # far in the tail tanh is 1 in float32: log tanh'(u) = 2 log 2 - 2u to double precision
    far = np.full((1, 2), 30.0, np.float32)
    wide = np.array([[30.0, 30.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(
        head.log_prob(wide, far)[0], 2 * (-0.5 * np.log(2 * np.pi) - (2 * np.log(2) - 60)), rtol=1e-6
    )
    gradient = jax.grad(lambda p: head.log_prob(p, jnp.asarray(far)).sum())(jnp.asarray(wide))
    assert np.all(np.isfinite(gradient))


def test_tanh_normal_covers_its_box_and_inverts():
    head, p = heads.tanh_normal(BOX), _params(4)
    raw = jax.vmap(head.sample, (0, None))(jax.random.split(jax.random.key(0), 100), p)
    action = np.asarray(head.to_action(raw))
    low, high = np.asarray(BOX.low), np.asarray(BOX.high)
    assert np.all(action >= low) and np.all(action <= high)
    np.testing.assert_allclose(action, low + (high - low) * (np.tanh(raw) + 1) / 2, rtol=1e-4, atol=1e-5)
    inside = np.abs(np.asarray(raw)).max(-1) < 3
    np.testing.assert_allclose(
        head.from_action(jnp.asarray(action))[inside], np.asarray(raw)[inside], rtol=1e-3, atol=1e-4
    )
    assert np.all(np.isfinite(head.log_prob(p, head.from_action(jnp.asarray([-1.0, 4.0])))))


@pytest.mark.parametrize("std", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("mean", [0.0, 1.5])
def test_tanh_normal_entropy_is_the_integral(mean, std):
    head = heads.tanh_normal(Box(-1.0, 1.0, (1,)))
    u = np.linspace(mean - 10 * std, mean + 10 * std, 200_001)
    log_p = _normal_log_prob(u, mean, np.log(std))
    integral = np.trapezoid(-np.exp(log_p) * (log_p - np.log1p(-(np.tanh(u) ** 2))), u)
    assert abs(float(head.entropy(jnp.array([mean, np.log(std)]))) - integral) < 1e-3


def test_tanh_normal_clips_its_deviation():
    head = heads.tanh_normal(BOX, log_std=(-1.0, 0.5))
    raw = jnp.zeros(2)
    for log_std, used in ((-4.0, -1.0), (3.0, 0.5), (0.2, 0.2)):
        p, q = jnp.array([0.3, 0.1, log_std, log_std]), jnp.array([0.3, 0.1, used, used])
        np.testing.assert_allclose(head.log_prob(p, raw), head.log_prob(q, raw), rtol=1e-6)


@pytest.mark.parametrize("head", [heads.normal(BOX), heads.tanh_normal(BOX)])
def test_gaussian_sampling_agrees_with_its_log_prob(head):
    p = jnp.array([0.3, -0.2, -0.5, 0.1])
    keys = jax.random.split(jax.random.key(0), 4_000)
    raw, log_prob = jax.jit(jax.vmap(head.sample_and_log_prob, (0, None)))(keys, p)
    np.testing.assert_allclose(log_prob, jax.vmap(head.log_prob, (None, 0))(p, raw), rtol=1e-5, atol=1e-5)
    # 4.9 standard errors of a mean of 4,000: false alarm 1e-6
    np.testing.assert_allclose(raw.mean(0), p[:2], atol=4.9 * np.exp(0.1) / 4_000**0.5)
    np.testing.assert_allclose(
        -log_prob.mean(), head.entropy(p), atol=4.9 * log_prob.std() / 4_000**0.5 + 1e-3
    )


def test_boxes_of_any_shape_are_flat_inside():
    head = heads.normal(Box(-1.0, 1.0, (2, 3)))
    raw = jnp.linspace(-0.5, 0.5, 6)
    assert head.size == 12 and head.to_action(raw).shape == (2, 3)
    np.testing.assert_array_equal(head.from_action(head.to_action(raw)), raw)
    scalar = heads.normal(Box(-1.0, 1.0, ()))
    assert scalar.size == 2 and scalar.to_action(jnp.zeros(1)).shape == ()


def test_policy_head_follows_the_space():
    assert heads.policy_head(Discrete(3)).size == 3
    assert heads.policy_head((Discrete(3), Discrete(2))).size == 5
    assert heads.policy_head(BOX).gaussian
    squashed = heads.policy_head(BOX, squash=True)
    np.testing.assert_allclose(squashed.to_action(jnp.full(2, 50.0)), BOX.high)


@pytest.mark.parametrize(
    ("space", "squash"),
    [
        ((Discrete(2), BOX), False),
        ((), False),
        (Box(0, 3, (2,), np.int32), False),
        (Box(-np.inf, np.inf, (1,)), True),
    ],
)
def test_spaces_without_a_head_are_refused(space, squash):
    with pytest.raises(ValueError, match=r"^action_space: "):
        heads.policy_head(space, squash=squash)


def test_policy_with_one_deviation_for_all_states():
    head = heads.normal(BOX)
    net = heads.policy(3, head, (8,), free_log_std=True)
    params = jax.jit(net.init)(jax.random.key(0))
    params["log_std"] = jnp.array([0.5, -0.5])
    out = net.apply(params, jnp.asarray(_params(4, 3)))
    np.testing.assert_array_equal(out[:, 2:], np.tile([0.5, -0.5], (4, 1)))
    assert np.unique(np.asarray(out[:, 0])).size == 4
    with pytest.raises(ValueError, match=r"^free_log_std: "):
        heads.policy(3, heads.categorical(2), free_log_std=True)


def test_values_have_the_shape_of_the_reward():
    x = jnp.ones((5, 3))
    for reward_dim, shape in ((None, (5,)), (1, (5, 1)), (4, (5, 4))):
        net = heads.value(3, reward_dim, (8,))
        assert net.apply(jax.jit(net.init)(jax.random.key(0)), x).shape == shape


def test_categories_outside_have_no_probability_and_floats_are_refused():
    head, p = heads.categorical(3), _params(3)
    np.testing.assert_array_equal(head.log_prob(jnp.stack([p, p]), jnp.array([-1, 3])), [-np.inf, -np.inf])
    with pytest.raises(UsageError, match=r"^raw: actions of categories are integers, got float32$"):
        head.log_prob(p, jnp.float32(0.5))


@pytest.mark.parametrize("log_std", [-1e4, -88.0, 88.0, 1e4])
def test_normals_stay_finite_whatever_the_log_standard_deviation(log_std):
    head = heads.normal(BOX)
    p, q = jnp.array([0.5, 2.0, log_std, log_std]), jnp.array([0.0, 0.0, -log_std, 1.0])
    raw, log_prob = head.sample_and_log_prob(jax.random.key(0), p)
    numbers = (raw, log_prob, head.log_prob(p, jnp.zeros(2)), head.entropy(p), head.kl(p, q))
    slope = jax.grad(lambda p: head.log_prob(p, jnp.zeros(2)))(p)
    assert all(jnp.isfinite(x).all() for x in (*numbers, slope))


def test_log_standard_deviations_in_use_keep_their_bits():
    head, p, x = heads.normal(BOX), jnp.array([0.3, -0.2, -7.5, 4.25]), jnp.array([0.1, 0.2])
    plain = distrax.Normal(p[:2], jnp.exp(p[2:])).log_prob(x).sum()
    assert head.log_prob(p, x) == plain


def test_a_coordinate_with_equal_bounds_has_that_action():
    box = Box((-1.0, 3.0), (1.0, 3.0), (2,))
    head = heads.tanh_normal(box)
    raw, log_prob = head.sample_and_log_prob(jax.random.key(0), jnp.zeros(4))
    assert head.to_action(raw)[1] == 3.0 and jnp.isfinite(log_prob)
    assert jnp.isfinite(head.log_prob(jnp.zeros(4), head.from_action(jnp.array([0.5, 3.0]))))
    assert heads.normal(box).to_action(raw)[1] == 3.0


def test_bounds_too_wide_for_float32_are_refused():
    top = float(np.finfo(np.float32).max)
    with pytest.raises(ValueError, match="action_space: the distance of the bounds is beyond float32"):
        heads.tanh_normal(Box(-top, top, (1,)))
