"""The two zoos have the published numbers."""

import math

import numpy as np
import pytest

from jaxrl.minimax.designs.npiv_zoo import FUNCTIONS, structural, zoo

# mean and standard deviation of y in the training split of variant A
MOMENTS = {
    "abs": (1.63672723, 2.30934197),
    "linear": (-0.08676107, 3.45467127),
    "sin": (-0.03996973, 2.14051240),
    "step": (1.71596259, 2.34199690),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_zoo_a_has_the_published_numbers(name):
    data = zoo(name, "A")
    np.testing.assert_allclose(data.train.x[:3, 0], [1.48830725, 0.32847087, -1.46620316], atol=5e-9)
    np.testing.assert_allclose(data.train.z[0], [0.85289231, 2.68753663], atol=5e-9)
    np.testing.assert_allclose(data.scale, MOMENTS[name], atol=5e-9)
    np.testing.assert_allclose([data.train.y.mean(), data.train.y.std()], [0, 1], atol=1e-12)
    assert {s.x.shape for s in data[:3]} == {(2000, 1)} and {s.z.shape for s in data[:3]} == {(2000, 2)}
    # dev and test are in training units, so their own moments are not exactly 0 and 1
    assert abs(data.test.y.mean()) > 1e-4
    f0 = (structural(name, "A")(data.test.x[:, 0]) - data.scale.mean) / data.scale.sd
    np.testing.assert_array_equal(data.test.truth, f0)


@pytest.mark.parametrize(("name", "ratio"), [("abs", 2.32), ("linear", 1.71), ("sin", 2.95), ("step", 3.49)])
def test_zoo_b_is_the_same_stream_with_half_the_confounding(name, ratio):
    a, b = zoo(name, "A"), zoo(name, "B")
    np.testing.assert_array_equal(a.train.x, b.train.x)
    np.testing.assert_array_equal(a.dev.z, b.dev.z)
    assert round(float(a.scale.sd / b.scale.sd) ** 2, 2) == ratio
    noise_a = (a.train.y - a.train.truth) * a.scale.sd
    noise_b = (b.train.y - b.train.truth) * b.scale.sd
    e = noise_a - noise_b  # 2 e + noise - (e + noise)
    assert abs(e.mean()) < 4 / math.sqrt(2000) and abs(e.std() - 1) < 4 / math.sqrt(4000)
    np.testing.assert_allclose((noise_b - e).std(), 0.1, rtol=0.1)


def test_zoo_refuses_unknown_names():
    with pytest.raises(ValueError, match="function: 'cube' is none of abs"):
        zoo("cube", "A")
    with pytest.raises(ValueError, match="variant: 'C' is neither A nor B"):
        zoo("abs", "C")  # type: ignore[arg-type]
