import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.spaces import Box, Discrete, sample
from jaxrl.nets import net


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_mlp_is_the_formula():
    f = net.mlp((3, 5, 4, 2), "tanh")
    params = jax.jit(f.init)(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    expected = x
    for i in range(3):
        layer = params[f"Dense_{i}"]
        expected = expected @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])
        expected = np.tanh(expected) if i < 2 else expected
    np.testing.assert_allclose(f.apply(params, x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(f.apply(params, x[3]), expected[3], rtol=1e-5, atol=1e-6)


def test_mlp_kernels_are_orthogonal_with_their_gains_and_biases_zero():
    f = net.mlp((6, 8, 4), "relu", scale=2.0, last_scale=0.01)
    params = jax.jit(f.init)(jax.random.key(1))
    first, last = (np.asarray(params[f"Dense_{i}"]["kernel"]) for i in range(2))
    np.testing.assert_allclose(first @ first.T, 4.0 * np.eye(6), atol=1e-5)
    np.testing.assert_allclose(last.T @ last, 1e-4 * np.eye(4), atol=1e-9)
    assert not np.any(params["Dense_0"]["bias"]) and not np.any(params["Dense_1"]["bias"])


def test_parameters_are_plain_float32_dicts_that_stack():
    f = net.mlp((2, 3), "tanh")
    stacked = jax.jit(jax.vmap(f.init))(jax.random.split(jax.random.key(0), 4))
    assert type(stacked) is dict and type(stacked["Dense_0"]) is dict
    assert stacked["Dense_0"]["kernel"].shape == (4, 2, 3)
    assert stacked["Dense_0"]["kernel"].dtype == jnp.float32
    assert len(np.unique(np.asarray(stacked["Dense_0"]["kernel"])[:, 0, 0])) == 4


def test_compute_dtype_changes_rounding_but_not_the_types_outside():
    exact, low = net.mlp((3, 16, 2)), net.mlp((3, 16, 2), dtype=jnp.bfloat16)
    params = jax.jit(exact.init)(jax.random.key(0))
    x = jnp.linspace(-1, 1, 12).reshape(4, 3)
    a, b = exact.apply(params, x), low.apply(params, x)
    assert b.dtype == jnp.float32
    assert 0 < float(jnp.abs(a - b).max()) < 0.05


def test_mlp_without_biases_is_odd_and_has_kernels_only():
    f = net.mlp((3, 8, 2), "tanh", bias=False, initial="lecun")
    params = jax.jit(f.init)(jax.random.key(0))
    assert all(set(layer) == {"kernel"} for layer in params.values())
    x = jnp.linspace(-2, 2, 12).reshape(4, 3)
    hidden = np.tanh(np.asarray(x) @ np.asarray(params["Dense_0"]["kernel"]))
    np.testing.assert_allclose(f.apply(params, x), hidden @ params["Dense_1"]["kernel"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(f.apply(params, -x), -f.apply(params, x))
    assert not np.any(f.apply(params, jnp.zeros(3)))


def test_lecun_kernels_have_variance_one_over_the_inputs_and_biases_zero():
    params = jax.jit(net.mlp((50, 400), initial="lecun").init)(jax.random.key(0))["Dense_0"]
    kernel = np.asarray(params["kernel"])
    # 20,000 entries: five standard errors of the variance of normals, larger than that of truncated ones
    np.testing.assert_allclose(kernel.var(), 1 / 50, rtol=5 * np.sqrt(2 / kernel.size))
    assert abs(kernel.mean()) < 5 * np.sqrt(1 / 50 / kernel.size)
    assert np.abs(kernel).max() <= 2 / 0.8796 * 50**-0.5 * 1.001  # cut at two standard deviations
    assert not np.any(params["bias"])


NESTED = {"a": Discrete(3), "b": Box(-1.0, 1.0, (2, 2)), "c": (Discrete(2), Box(0, 9, (), np.int32))}


@pytest.mark.parametrize("space", [Discrete(5), Box(-1.0, 1.0, (2, 3)), NESTED])
def test_linear_is_the_product_with_the_features_in_value_and_gradient(space):
    size, encode = net.features(space)
    f = net.linear(space, 4)
    params = jax.jit(f.init)(jax.random.key(0))
    assert params["kernel"].shape == (size, 4) and f.apply(
        params, sample(space, jax.random.key(1))
    ).shape == (4,)
    x = jax.vmap(lambda key: sample(space, key))(jax.random.split(jax.random.key(2), 6))
    weights = jax.random.normal(jax.random.key(3), (6, 4))

    def product(params, x):
        return jax.vmap(encode)(x) @ params["kernel"]

    np.testing.assert_allclose(f.apply(params, x), product(params, x), rtol=1e-5, atol=1e-6)
    grads = [jax.grad(lambda p, g=g: (weights * g(p, x)).sum())(params) for g in (f.apply, product)]
    np.testing.assert_allclose(grads[0]["kernel"], grads[1]["kernel"], rtol=1e-5, atol=1e-6)
    assert np.abs(grads[1]["kernel"]).max() > 0.1


def test_linear_looks_categories_up_without_a_product():
    f = net.linear({"a": Discrete(9), "b": Discrete(2)}, 3)
    params = jax.jit(f.init)(jax.random.key(0))
    program = str(
        jax.make_jaxpr(f.apply)(params, {"a": jnp.zeros(7, jnp.int32), "b": jnp.ones(7, jnp.int32)})
    )
    assert "gather" in program and "dot_general" not in program


def test_linear_reads_categories_of_small_integer_types():
    f = net.linear((Discrete(300), Discrete(256)), 2)
    params = {"kernel": jnp.arange(2.0 * 556).reshape(556, 2)}
    for dtype in (jnp.uint8, jnp.int32):
        found = f.apply(params, (jnp.zeros(3, dtype), jnp.array([0, 100, 255], dtype)))
        expected = params["kernel"][:1] + params["kernel"][jnp.array([300, 400, 555])]
        np.testing.assert_array_equal(found, expected)


def test_gru_is_the_formula():
    cell = net.gru(3, 4)
    params = jax.jit(cell.init)(jax.random.key(0))
    params = jax.tree.map(lambda p: p + 0.1, params)  # so that biases count
    p = jax.tree.map(np.asarray, params)
    rng = np.random.default_rng(0)
    x, h = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(5, 4)).astype(np.float32)
    r = _sigmoid(x @ p["ir"]["kernel"] + p["ir"]["bias"] + h @ p["hr"]["kernel"])
    z = _sigmoid(x @ p["iz"]["kernel"] + p["iz"]["bias"] + h @ p["hz"]["kernel"])
    n = np.tanh(x @ p["in"]["kernel"] + p["in"]["bias"] + r * (h @ p["hn"]["kernel"] + p["hn"]["bias"]))
    np.testing.assert_allclose(cell.apply(params, h, x), (1 - z) * n + z * h, rtol=1e-5, atol=1e-6)
    assert "bias" not in p["hr"] and "bias" not in p["hz"]


def test_scan_memory_is_a_loop_that_forgets_at_restarts():
    cell = net.gru(2, 3)
    params = jax.jit(cell.init)(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (6, 2, 2))
    memory = jax.random.normal(jax.random.key(2), (2, 3))
    restart = jnp.array([[0, 1], [0, 0], [1, 0], [0, 0], [0, 1], [1, 0]], bool)
    got = net.scan_memory(cell, params, memory, x, restart)
    for i in range(2):
        h = memory[i]
        for t in range(6):
            h = cell.apply(params, jnp.zeros(3) if restart[t, i] else h, x[t, i])
            np.testing.assert_allclose(got[t, i], h, rtol=1e-5, atol=1e-6)


def test_ensemble_members_are_the_single_networks():
    single = net.mlp((3, 4, 1))
    many = net.ensemble(single, 5)
    params = jax.jit(many.init)(jax.random.key(0))
    x = jnp.ones((2, 3))
    out = many.apply(params, x)
    assert out.shape == (5, 2, 1)
    for i in range(5):
        member = jax.tree.map(lambda p, i=i: p[i], params)
        np.testing.assert_allclose(out[i], single.apply(member, x), rtol=1e-6)
    assert len(np.unique(np.asarray(out)[:, 0, 0])) == 5


def test_features_flatten_boxes_and_count_categories():
    space = {"a": Discrete(3), "b": Box(-1.0, 1.0, (2, 2)), "c": (Discrete(2), Box(0, 9, (), np.int32))}
    size, encode = net.features(space)
    x = {"a": jnp.int32(2), "b": jnp.arange(4.0).reshape(2, 2), "c": (jnp.int32(0), jnp.int32(7))}
    assert size == 10
    np.testing.assert_array_equal(encode(x), [0, 0, 1, 0, 1, 2, 3, 1, 0, 7])
    assert encode(x).dtype == jnp.float32


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: net.mlp((3,)), "sizes"),
        (lambda: net.mlp((3, 0)), "sizes"),
        (lambda: net.mlp((3, 2), "sine"), "activation"),
        (lambda: net.ensemble(net.mlp((3, 2)), 0), "n"),
        (lambda: net.gru(3, 0), "width"),
        (lambda: net.linear(Discrete(3), 0), "size"),
        (lambda: net.linear((), 2), "size"),
        (lambda: net.linear(Discrete(3), 2, initial="he"), "initial"),
    ],
)
def test_bad_input_names_the_argument(call, word):
    with pytest.raises(ValueError, match=f"^{word}: "):
        call()


@pytest.mark.parametrize("shape", [(3, 64), (64, 3), (64, 64), (1, 5)])
def test_rows_or_columns_of_orthogonal_kernels_are_orthonormal(shape):
    kernels = jax.jit(jax.vmap(lambda k: net.orthogonal(2.0)(k, shape)))(
        jax.random.split(jax.random.key(0), 20)
    )
    for kernel in np.asarray(kernels, np.float64) / 2.0:
        gram = kernel @ kernel.T if shape[0] <= shape[1] else kernel.T @ kernel
        np.testing.assert_allclose(gram, np.eye(min(shape)), atol=1e-5)


def test_entries_of_orthogonal_kernels_have_the_moments_of_uniform_ones():
    """E q = 0, E q^2 = 1/n, E q^4 = 3/(n(n + 2)); 4,000 draws, five standard errors (false alarm < 1e-5)."""
    n, draws = 4, 4000
    keys = jax.random.split(jax.random.key(1), draws)
    kernels = jax.jit(jax.vmap(lambda k: net.orthogonal()(k, (n, n))))(keys)
    q = np.asarray(kernels)[:, 0, 0].astype(np.float64)
    for power, expected in ((1, 0.0), (2, 1 / n), (4, 3 / (n * (n + 2)))):
        error = np.std(q**power) / np.sqrt(draws)
        assert abs(np.mean(q**power) - expected) < 5 * error
    assert abs(np.mean(np.linalg.det(np.asarray(kernels)))) < 5 / np.sqrt(draws)  # both signs are as likely


def test_orthogonal_kernels_have_their_dtype():
    assert net.orthogonal()(jax.random.key(0), (4, 2), jnp.float32).dtype == jnp.float32
