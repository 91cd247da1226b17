"""A 4 x 4 grid of known weights as environment, tables, and unfolded problem."""

import jax
import numpy as np

from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.submodular.exact import covered, unfold

W16 = tuple((7 * np.arange(16) + 3) % 11 + 1.0)


def problem(weights=W16, slip=0.0, footprint="quad", start=0, states=6):
    """A 4 x 4 instance as environment, tables, and problem for the exact oracles."""
    env = coverage_grid(weights, states, rows=4, cols=4, start=start, slip=slip, footprint=footprint)
    grid, F = env.env.env, env.F
    params = env.default_params()
    mdp = jax.tree.map(np.asarray, grid.to_tabular(params.env.env))
    elements = np.asarray(params.F.elements)
    covers = np.zeros((16, 17), bool)
    covers[np.arange(16)[:, None], elements] = True
    return env, params, mdp, unfold(mdp, covered(covers[:, :16], np.asarray(weights)), states), F
