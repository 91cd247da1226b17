"""Pages of runs and their index: markup by a parser, links followed, damage written by hand."""

import re
import shutil
import sys

import pytest

from jaxrl.cli import api
from jaxrl.cli.main import main
from jaxrl.report import pages
from jaxrl.run import catalogue
from jaxrl.run.folder import RunFolder
from tests.report.markup import Markup
from tests.run import ring


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return ring.make_root(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def finished(root):
    return api.run("toy/ring", "smoke", root=root)


def unfinished(root, **fields):
    """A run folder that was written by hand."""
    config = catalogue.load(root, "toy/ring").PRESETS["smoke"]
    folder = RunFolder.create("toy/ring", config, root / "by hand", "smoke")
    folder.set_status(**{"state": "running", **fields})
    return folder


def test_run_page_is_one_file_without_the_network(root, finished):
    text = (finished.path / "report.html").read_text()
    found = Markup(text)
    assert "http" not in re.sub(r"base64,[^']*", "", text)
    embedded = [a for a in found.addresses if a.startswith("data:")]
    assert [a.split(";")[0] for a in embedded] == ["data:image/svg+xml"]
    links = [a for a in found.addresses if not a.startswith("data:")]
    assert sorted(links) == ["figures/ring.pdf", "figures/ring.png", "figures/ring.svg"]
    assert all((finished.path / a).exists() for a in links)
    for words in ("hyper.lr", "versions.jax", "done", "point 0", "Q-learning on a noisy ring."):
        assert words in found.words


def test_pages_of_the_experiment_are_linked_and_never_embedded(root):
    folder = unfinished(root)
    assert "Pages" not in Markup(pages.write(folder).read_text()).words
    folder.figures.mkdir(exist_ok=True)
    (folder.figures / "front_3d.html").write_text("<!doctype html><title>A</title><script>alert(1)</script>")
    text = pages.write(folder).read_text()
    found = Markup(text)
    assert found.addresses == ["figures/front_3d.html"]
    assert {"Pages", "front 3d"} <= set(found.words)
    assert "script" not in text and "alert" not in text


def test_a_run_that_failed_says_why_and_shows_its_curves(root):
    folder = unfinished(root, state="failed", error="it <broke> & fell", updates_total=9)
    for update in (1, 2, 3):
        folder.log(
            {"stage": "train", "update": update, "env_steps": 8 * update, "return": [1.0 * update, None]}
        )
    text = pages.write(folder).read_text()
    found = Markup(text)
    assert "it <broke> & fell" in found.words
    assert "<broke>" not in text
    assert {"update", "3 of 9", "environment steps", "24"} <= set(found.words)
    assert sum(a.startswith("data:image/png") for a in found.addresses) == 1


def test_a_page_before_anything_happened(root):
    found = Markup(pages.write(unfinished(root), refresh_s=10.0).read_text())
    assert "Configuration" in found.words
    assert "Figures" not in found.words


def test_large_vector_pictures_are_embedded_as_png(root, finished, monkeypatch):
    monkeypatch.setattr(pages, "_MAX_SVG", 1)
    text = pages.write(finished, catalogue.load(root, "toy/ring")).read_text()
    assert "data:image/png" in text
    assert "data:image/svg" not in text


def test_index_shows_the_latest_run_in_full_and_links_every_page(root, finished):
    newer = api.run("toy/ring", "smoke", root=root, seed=1)
    path = root / "out" / "index.html"
    assert main(["report", "--index", "--root", str(root)]) == 0
    found = Markup(path.read_text())
    links = {(path.parent / a).resolve() for a in found.addresses if not a.startswith("data:")}
    assert all(p.exists() for p in links)
    for run in (newer, finished):
        assert run.path / "report.html" in links
        assert run.path / "figures" / "ring.png" in links
    assert newer.path / "figures" / "ring.pdf" in links
    assert finished.path / "figures" / "ring.pdf" not in links
    assert sum(a.startswith("data:image/svg") for a in found.addresses) == 1
    assert "http" not in re.sub(r"base64,[^']*", "", path.read_text())


def index(root, runs):
    """The words of a new index page, and the page as text."""
    text = pages.write_index(root / "index.html", runs, root).read_text()
    return " ".join(Markup(text).words), text


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config.json", "{", "config.json"),
        ("config.json", "[]", "config.json"),
        ("config.json", "5", "config.json"),
        ("config.json", '{"schema": 0, "experiment": "toy/ring", "preset": "x", "config": {}}', "schema 0"),
        ("config.json", "[" * 200_000, "config.json"),
        ("meta.json", "[]", "meta.json"),
        ("meta.json", None, "meta.json"),
        ("status.json", "[1]", "status.json"),
    ],
    ids=str,
)
def test_a_damaged_run_is_named_with_its_reason_and_hides_no_other(
    root, finished, tmp_path, name, content, reason
):
    for run in ("good", "damaged"):
        shutil.copytree(finished.path, tmp_path / "runs" / run)
    damaged = tmp_path / "runs" / "damaged" / name
    damaged.unlink() if content is None else damaged.write_text(content)
    words, text = index(root, tmp_path / "runs")
    assert "runs: 1, below" in words and "Runs that cannot be read" in words
    assert reason in words
    assert "point 0" in words and "data:image/svg" in text  # the other run is shown in full


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda source: "import torch_of_another_machine\n" + source, "No module named"),
        (lambda source: "raise SystemExit(3)\n" + source, "SystemExit: 3"),
        (lambda source: source.replace('result["value"])}', 'result["older_name"])}'), "older_name"),
        (lambda source: source.replace("def run(", "def ran("), "an experiment defines run as well"),
        (lambda source: source + "\n)", "unmatched ')'"),
        (lambda source: "\0", "null bytes"),
    ],
    ids=["import", "exit", "older result", "no run", "syntax", "no text"],
)
def test_an_experiment_that_does_not_work_hides_no_other(tmp_path, finished, monkeypatch, change, reason):
    root = ring.make_root(tmp_path)
    source = (root / "experiments" / "toy" / "ring.py").read_text()
    (root / "experiments" / "toy" / "other.py").write_text(source)
    (root / "experiments" / "toy" / "broken.py").write_text(change(source))
    for name in ("broken", "other"):
        run = root / "runs" / name
        shutil.copytree(finished.path, run)
        config = (run / "config.json").read_text()
        (run / "config.json").write_text(config.replace("toy/ring", f"toy/{name}"))
        monkeypatch.delitem(sys.modules, f"experiments.toy.{name}", raising=False)
    words, text = index(root, root / "runs")
    assert "Its scores cannot be computed" in words and reason in words
    assert text.count("data:image/svg") == 2 and "point 0" in words


def test_index_of_foreign_experiments_and_of_nothing(root, finished, tmp_path):
    run = tmp_path / "runs" / "b"
    shutil.copytree(finished.path, run)
    config = run / "config.json"
    config.write_text(config.read_text().replace("toy/ring", "gone/away"))
    words, _ = index(root, tmp_path / "runs")
    assert "gone/away" in words and "No experiment of this name is here any more." in words
    assert "No run yet" in index(root, tmp_path / "none")[0]


def test_runs_are_not_looked_for_inside_runs(root, finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "runs" / "a")
    step = tmp_path / "runs" / "a" / "checkpoints" / "train" / "2"
    step.mkdir(parents=True, exist_ok=True)
    shutil.copy(finished.path / "config.json", step)
    found, damaged = pages.find_runs(tmp_path / "runs")
    assert [f.path.name for f in found] == ["a"] and damaged == []


def test_an_experiment_file_is_parsed_once_per_page_and_once_per_card(finished, tmp_path, monkeypatch):
    root = ring.make_root(tmp_path)
    source = (root / "experiments" / "toy" / "ring.py").read_text()
    names = [f"copy{i}" for i in range(6)]
    for name in names:
        (root / "experiments" / "toy" / f"{name}.py").write_text(source)
        shutil.copytree(finished.path, root / "runs" / name)
        config = root / "runs" / name / "config.json"
        config.write_text(config.read_text().replace("toy/ring", f"toy/{name}"))
    parsed = []
    read = catalogue._read
    monkeypatch.setattr(catalogue, "_read", lambda *words: parsed.append(words) or read(*words))
    index(root, root / "runs")
    assert len(parsed) == len(names) + 1 + len(names)
