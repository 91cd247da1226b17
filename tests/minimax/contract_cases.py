"""Contract cases of this package; see tests/contract."""

import numpy as np

from jaxrl.core.spaces import Box
from jaxrl.minimax import mfl, sgda
from jaxrl.minimax.problem import minibatch, points, problem
from jaxrl.minimax.velocity import Networks


def _sgda():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 32, 1, 2)).astype(np.float32)
    data = points(x, np.ones((32, 1)), x[:, 0, 0], z[..., :1], lam=0.1)
    config = sgda.Config(width=8, inputs=2, method="extragradient", noise=True)
    hypers = sgda.Hyper(), sgda.Hyper(alpha=2.0, eps=0.1, tau=2.0, temperature=0.1)
    everything = Box(-np.inf, np.inf, (2,)), Box(-np.inf, np.inf, ())
    return sgda.make(config, minibatch(4)), hypers, data, *everything


def _mfl():
    half = np.full(2, 0.5)
    data = problem(np.eye(2), [1.0, 0.0], half, half, [-1.0, 1.0], [-1.0, 1.0], lam=0.1)
    data = data._replace(**{name: value.astype(np.float32) for name, value in data._asdict().items()})
    everything = Box(-np.inf, np.inf, (1,)), Box(-np.inf, np.inf, ())
    config = mfl.Config(width=8, method="ag")
    return (
        mfl.make(config, mfl.network_game(Networks())),
        (mfl.Hyper(), mfl.Hyper(eps=0.01)),
        data,
        *everything,
    )


CASES = {"sgda": _sgda, "mfl": _mfl}
