"""The benchmark counts what it says it counts; no test asserts a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.dual_rl import learner as bench
from benchmarks.dual_rl import plain
from jaxrl.dual_rl import implicit

TINY = implicit.Config(batch_size=4, widths=(2,))


@pytest.mark.slow
def test_entries_of_one_agent():
    found = bench.one(TINY, updates=2, rounds=2)
    names = ("matrix product alone", "update", "update in a run", "update written by hand")
    assert {e.name for e in found if e.unit == "GFLOP / CPU-s"} == {f"2, batch 4: {name}" for name in names}
    assert {e.name for e in found if e.unit == "of the product's rate"} == {
        f"2, batch 4: {name}" for name in names[1:]
    }
    assert all(e.value > 0 and len(e.rounds) == 2 for e in found if e.group == "dual RL")


@pytest.mark.slow
def test_entries_of_several_agents_count_all_their_updates():
    found = bench.many(TINY, [1, 8], updates=16, rounds=2)
    names = ("1 agent", "8 agents", "8 agents, 2 as one batch")  # on four devices
    assert {e.name for e in found if e.unit == "updates / s"} == {f"2, batch 4: {name}" for name in names}
    rates = {e.name: e.rounds for e in found if e.unit == "updates / s"}
    for entry in (e for e in found if e.unit == "times one agent"):
        wanted = 8 * np.array(rates["2, batch 4: 1 agent"]) / rates[entry.name]
        np.testing.assert_allclose(entry.rounds, wanted, rtol=1e-9)


@pytest.mark.slow
def test_agents_do_the_updates_they_are_asked_for():
    advance = bench.agents(TINY, 2, 1, 3)
    advance()
    state, _ = advance()
    np.testing.assert_array_equal(state.updates[:2], [6, 6])


def test_flop_by_hand():
    """Linear networks, batch 4: V 17 x 1, Q 23 x 1, policy 17 x 6; nothing below the first layer."""
    linear = implicit.Config(batch_size=4, widths=())
    assert bench.flop(linear) == 8 * (4 * 17 + 6 * 23 + 2 * 102)
    v, q, pi = 17 * 5 + 5, 23 * 5 + 5, 17 * 5 + 5 * 6
    hidden = 5 * v + 8 * q + 3 * pi - 17 * 5 - 2 * 23 * 5 - 17 * 5
    assert bench.flop(implicit.Config(batch_size=4, widths=(5,))) == 8 * hidden


@pytest.mark.slow
def test_the_update_written_by_hand_learns_rewards_where_nothing_follows():
    """All rows end: Q is regression on the rewards, whose error falls."""
    init, step = plain.make(64, (16,), 17, 6)
    rows = bench.data().reference.take(jnp.arange(64))
    rows = rows.replace(terminated=jnp.ones(64, bool))

    def error(carry):
        (w1, b1), (w2, b2) = carry[0]["q"][0]
        x = jnp.concatenate([rows.obs, rows.action], -1)
        return float(jnp.square((jax.nn.relu(x @ w1 + b1[None]) @ w2 + b2[None])[:, 0] - rows.reward).mean())

    before = jax.jit(init)(jax.random.key(0))
    after = jax.jit(lambda c: jax.lax.fori_loop(0, 400, lambda _, c: step(c, rows), c))(before)
    assert error(after) < error(before) / 2
    moved = jax.tree.map(
        lambda a, b: float(jnp.abs(a - b).max()), before[:1] + before[2:3], after[:1] + after[2:3]
    )
    assert min(jax.tree.leaves(moved)) > 0
