"""Contract cases of this package; see tests/contract."""

import numpy as np

from jaxrl.core.spaces import Box
from jaxrl.minimax import sgda
from jaxrl.minimax.problem import minibatch, points


def _sgda():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 32, 1, 2)).astype(np.float32)
    data = points(x, np.ones((32, 1)), x[:, 0, 0], z[..., :1], lam=0.1)
    config = sgda.Config(width=8, inputs=2, method="extragradient", noise=True)
    hypers = sgda.Hyper(), sgda.Hyper(alpha=2.0, eps=0.1, tau=2.0, temperature=0.1)
    everything = Box(-np.inf, np.inf, (2,)), Box(-np.inf, np.inf, ())
    return sgda.make(config, minibatch(4)), hypers, data, *everything


CASES = {"sgda": _sgda}
