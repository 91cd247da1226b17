"""Pages of runs and their index: markup by a parser, links followed, damage written by hand."""

import re

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


def test_index_survives_foreign_and_damaged_folders(root, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "config.json").write_text("{")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "config.json").write_text(
        '{"schema": 1, "experiment": "gone/away", "preset": "x", "config": {}}'
    )
    (tmp_path / "b" / "meta.json").write_text("{}")
    found = Markup(pages.write_index(tmp_path / "index.html", tmp_path, root).read_text())
    assert "gone/away" in found.words
    empty = Markup(pages.write_index(tmp_path / "c" / "index.html", tmp_path / "none", root).read_text())
    assert "No run yet" in empty.words
