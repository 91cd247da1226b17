"""An upper bound of the uncertainty that any oracle can find: stages take their own rewards and estimates.

    U_h(s) = max_a min{1, ubar(s, a) + 3 beta N(U_{h+1})(s, a) + <phi_{U_{h+1}}(s, a), theta>}
    ubar(s, a) = min{1, beta max_f |phi_f(s, a)|},   U = 0 at the last stage

With the majorant N(V) = max_{0 <= g <= V} |phi_g| this bounds the joint maximum over policies, rewards and
estimates within beta of the given one, where those are kernels. With N(V) = |phi_V| it is an outer estimate
alone, because that norm is not monotone in V. The gap to what an oracle found is known for every plan.

Legend: as in `uncertainty.py`.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.reward_free.features import Form
from jaxrl.reward_free.inner import ENUMERATED, subsets
from jaxrl.reward_free.uncertainty import View

Norm = Literal["majorant", "plain"]


def relaxed_bound(form: Form, view: View, mu0: Array, horizon: Array, norm: Norm = "majorant") -> Array:
    """U_1 at the initial distribution mu0 `[S]` for `horizon` int32[] stages, float[].

    Raises:
        UsageError: more than 14 states, whose sets are not enumerated.
    """
    S = form.n_states
    if S > ENUMERATED:
        raise UsageError(
            f"mixture: {S} states have 2^{S} sets, which are enumerated up to {ENUMERATED} states; use the"
            " certificate of an oracle in place of this bound"
        )
    sets = subsets(S, view.theta.dtype)
    first = view.beta * form.norm(view.tilde, form.phi_all(sets)).max(0)

    def stage(_: Array, U: Array) -> Array:
        inner = sets * U[None] if norm == "majorant" else U[None]
        slack = 3 * view.beta * form.norm(view.hat, form.phi_all(inner)).max(0)
        mean = jnp.clip(form.product(view.theta, form.phi_all(U)), 0, 1)
        return jnp.minimum(jnp.minimum(first, 1) + slack + mean, 1).reshape(S, -1).max(-1)

    return mu0 @ jax.lax.fori_loop(1, horizon, stage, jnp.zeros(S, view.theta.dtype))
