"""Every experiment: its smoke preset finishes, repeats bit for bit, has figures, a page and honest tables.

Whatever lies in `experiments/` is found; a new experiment needs no line here.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from jaxrl.cli import api, execution, export, policies, verify
from jaxrl.cli.plan import estimate
from jaxrl.report import tables
from jaxrl.run import catalogue
from jaxrl.run.config import config_from_dict, config_to_dict

ROOT = Path(__file__).parent.parent.parent
EXPERIMENTS = catalogue.find(ROOT)
FAMILIES = sorted({e.name.split("/")[0] for e in EXPERIMENTS})


def with_marks(experiments):
    """Simulators of bodies, derivatives through updates, and two stages of lifetimes compile for long."""
    heavy = ("envs.adapters", "coverage.ant_coverage", "control.car_track", "meta_gradient", "input_ablation")
    slow = {e.name for e in experiments if any(h in e.path.read_text() for h in heavy)}
    return [pytest.param(e.name, marks=pytest.mark.slow if e.name in slow else ()) for e in experiments]


@pytest.fixture(scope="module", params=with_marks(EXPERIMENTS))
def smoke(request, tmp_path_factory):
    """`(module, finished smoke run)`; only read by the tests."""
    folder = api.run(request.param, "smoke", root=ROOT, out=tmp_path_factory.mktemp("runs"))
    return catalogue.load(ROOT, request.param), folder


def test_smoke_run_has_figures_and_a_page_that_shows_them(smoke):
    _, folder = smoke
    assert folder.status["state"] == "done"
    kinds = {p.suffix for p in folder.figures.iterdir()}
    assert {".png", ".pdf"} <= kinds
    page = (folder.path / "report.html").read_text()
    for png in folder.figures.glob("*.png"):
        assert f"figures/{png.stem}.pdf" in page
    assert page.count("data:image/") == len(list(folder.figures.glob("*.png")))
    assert "http" not in re.sub(r"base64,[^']*", "", page)


def test_figures_are_deterministic(smoke):
    module, folder = smoke
    before = {p.name: p.read_bytes() for p in folder.figures.iterdir()}
    module.figure(folder)
    assert {p.name: p.read_bytes() for p in folder.figures.iterdir()} == before


def test_scores_account_for_every_member(smoke):
    module, folder = smoke
    if not hasattr(module, "scores"):
        pytest.skip("reports no scores")
    config = config_from_dict(module.Config, folder.config)
    assert module.BETTER in ("more", "less", None)
    found = tables.module_scores(module, folder.load_result())
    scores = {label: x for label, x in found.items() if not x.derived}
    assert sum(x.values.size for x in scores.values()) == estimate(module, config)["members"]
    assert all(np.isfinite(x.values).all() for x in scores.values())


def test_smoke_run_repeats_bit_for_bit(smoke):
    module, folder = smoke
    facts = verify.verify(module, config_from_dict(module.Config, folder.config), folder)
    assert facts["arrays"] >= 1
    assert facts["replayed"] >= 1 or facts["checkpoints"] == 0  # nothing is trained, all was computed again


@pytest.mark.slow  # trains every experiment once more; tests of policies have small ones
def test_exported_policy_acts_like_the_trained_one(smoke, tmp_path):
    """Of every experiment that trains an algorithm with an origin, the last population's member 0."""
    module, folder = smoke
    if not execution.stage_checkpoints(folder):
        pytest.skip("trains nothing in its folder")
    config = config_from_dict(module.Config, folder.config)
    with execution.scratch_copy(folder, export.WatchedRun) as copy, execution.precision(config):
        module.run(config, copy)
        assert_exports_act_alike(copy.populations, tmp_path)


def assert_exports_act_alike(populations, folder):
    import jax

    from jaxrl.core.spaces import sample

    found = {k: p for k, p in populations.items() if p.algorithm.origin is not None}
    if not found:
        pytest.skip("trains no policy")
    algorithm, hypers, states = list(found.values())[-1]
    state, hyper = policies.one_member((states, hypers), 0)
    policies.export_policy(folder, algorithm, state, hyper)
    space = algorithm.origin.observation_space
    keys = jax.random.split(jax.random.key(0), 64)
    obs = jax.vmap(lambda k: sample(space, k))(keys)

    def act(policy):
        return jax.jit(jax.vmap(lambda k, o: policy.act(k, o, policy.memory)[0]))(keys, obs)

    for greedy in (True, False):
        expected = jax.tree.leaves(act(algorithm.act(state, hyper, greedy)))
        loaded = jax.tree.leaves(act(policies.load_policy(folder, greedy=greedy)))
        assert any(np.ptp(np.asarray(x)) > 0 for x in expected)
        for a, b in zip(expected, loaded, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [e.name for e in EXPERIMENTS])
def test_presets_are_named_alike_and_survive_json(name):
    module = catalogue.load(ROOT, name)
    assert tuple(module.PRESETS) == catalogue.lookup(ROOT, name).presets
    assert {"smoke", "quick", "paper"} <= set(module.PRESETS)
    for config in module.PRESETS.values():
        text = json.dumps(config_to_dict(config), allow_nan=False)
        assert config_to_dict(config_from_dict(module.Config, json.loads(text))) == json.loads(text)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_table_is_what_the_published_arrays_say(family):
    """Drift: a number in README.md that no committed npz produces, or an npz that no line uses."""
    folder = ROOT / "experiments" / family
    expected = tables.read_expected(folder / "expected.json")
    if expected:
        assert tables.family_table(ROOT, family) in (folder / "README.md").read_text()
    used = {f"{name}-{e['preset']}.npz" for name, labels in expected.items() for e in labels.values()}
    assert {p.name for p in (folder / "results").glob("*.npz")} <= used
    for path in (folder / "results").glob("*.npz"):
        assert path.stat().st_size <= tables.MAX_BYTES
