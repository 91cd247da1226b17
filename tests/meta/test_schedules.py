"""What the study of schedules reports, on arrays that were made up, and the structure that rules share."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.meta import critic_matters, schedules
from experiments.meta.rules import CLOSED
from jaxrl.meta import drift, zoo
from jaxrl.meta.objective import MASKS, Time


def test_rules_in_one_structure_are_the_rules():
    closed = drift.ta_dpo(1)
    known = closed.init(jax.random.key(0))
    known |= {"coefficients": jnp.ones_like(known["coefficients"]), "scales": jnp.array([1.0, 2.0])}
    ratio, advantage = jnp.array([0.6, 1.5, 1.9]), jnp.array([-1.0, 0.5, 2.0])
    at = ratio, jnp.log(ratio), advantage, Time(1.0, 4.0, MASKS["n/N"])
    structures = set()
    entries = [zoo.load(name) for name in ("ppo", "dpo", "lpo_cartpole")]
    for objective, phi in [(closed, known), *((e.objective, e.phi) for e in entries)]:
        shared = drift.in_one_structure(phi)
        np.testing.assert_allclose(drift.f(shared, *at), objective.apply(phi, *at), rtol=1e-6)
        structures.add(tuple((str(path), x.shape) for path, x in jax.tree_util.tree_leaves_with_path(shared)))
    assert len(structures) == 1


def test_scores_of_schedules_are_changes_and_paired_differences():
    aware, blind = schedules.TIMED[0]
    names = [blind, aware, aware + CLOSED]
    early, late, returns = np.zeros((3, 1, 3, 2)), np.zeros((3, 1, 3, 2)), np.zeros((3, 1, 2))
    late[0, 0, 0], late[1, 0, 0] = [1.0, 2.0], [5.0, 5.0]
    returns[1, 0], returns[2, 0] = [10.0, 20.0], [7.0, 21.0]
    result = {"rule": np.array(names), "horizon": np.array([8]), "early": early, "late": late}
    result |= {"returns": returns, "unexplained": np.array([0.25]), "certified": np.array([1e-3])}
    found = {name: score.values.tolist() for name, score in schedules.scores(result).items()}
    assert found[f"{blind}, N = 8: entropy, last quarter minus first"] == [1, 2]
    assert found[f"{aware} minus {blind}, N = 8: change of entropy"] == [4, 3]
    assert found[f"{aware}, closed form, N = 8: return minus that of the network"] == [-3, 1]
    assert found[f"{aware}, closed form: share of f^2 not explained"] == [0.25]
    assert found[f"{aware}, closed form: certified dead zone"] == [1e-3]


def test_scores_of_critics_are_paired_by_meta_seed_and_explain_variance():
    names = list(critic_matters.ARMS)
    held_out = np.arange(5)[:, None, None] * np.array([[1.0], [10.0]]) + np.zeros((5, 2, 3))
    curves = {name: np.ones((5, 2, 8)) for name in ("entropy", "critic_loss", "target_variance")}
    curves["critic_loss"][..., -2:] = 0.125  # the last quarter
    found = critic_matters.scores({"arm": np.array(names), "held_out": held_out} | curves)
    values = {k: (v.values if hasattr(v, "values") else v).tolist() for k, v in found.items()}
    assert values["start: return"] == [4, 40]
    assert values["critic learns, true derivative, minus start"] == [-4, -40]
    assert values["critic that learns minus frozen, true derivative"] == [-2, -20]
    assert values["true derivative minus released, critic frozen"] == [-1, -10]
    assert values["start: explained variance of the critic"] == [0.75, 0.75]
