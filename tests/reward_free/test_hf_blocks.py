"""HF-UCRL-RFE++ on tables with known successors: blocks give what dense features of the same table give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.tabular.generators import riverswim
from jaxrl.envs.tabular.known_support import KnownSupportMixture, known_support
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import hf
from jaxrl.reward_free.features import form_of
from tests.reward_free.mixtures import uniforms


@pytest.mark.slow
def test_blocks_and_dense_features_of_riverswim_run_the_same_episodes():
    with jax.enable_x64(True):
        blocks = known_support(riverswim(6))
        dense = blocks.to_dense()
        hyper = hf.Hyper(horizon=8, c_beta=0.02, bound=5.265, ratio=1.0)
        config = hf.Config(horizon=8, orders=2)
        states = []
        for mixture, env in ((blocks, KnownSupportMixture.of(blocks)), (dense, LinearMixture.of(dense))):
            algorithm, form = hf.make(config, env), form_of(mixture)
            algorithm.check(mixture)
            state = algorithm.init(jax.random.key(0), hyper, mixture)
            run = jax.jit(
                lambda state, u, env=env, form=form, mixture=mixture: hf.episode(
                    config, env, form, state, hyper, mixture, (u, state.key)
                )
            )
            for u in uniforms(6, 9):
                state = run(state, jnp.asarray(u))
            states.append(state)
        first, second = states
        np.testing.assert_array_equal(first.plan.policy, second.plan.policy)
        np.testing.assert_allclose(first.certificate, second.certificate, rtol=1e-9)
        mask = np.asarray(blocks.mask).reshape(12, 3)
        np.testing.assert_allclose(np.asarray(first.theta)[mask], second.theta[0], rtol=1e-8, atol=1e-12)
        gram = np.asarray(first.regressions.gram)
        whole = np.asarray(second.regressions.gram)[:, :, 0]
        at = np.flatnonzero(mask.ravel())
        spread = np.zeros((2, 2, 36, 36))
        for p in range(12):
            spread[:, :, 3 * p : 3 * p + 3, 3 * p : 3 * p + 3] = gram[:, :, p]
        np.testing.assert_allclose(spread[:, :, at][..., at], whole, rtol=1e-9, atol=1e-12)
