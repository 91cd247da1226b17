"""Pages, honest tables, published results: numbers by hand, markup by a parser, drift by changing a file."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from jaxrl.cli import api
from jaxrl.cli.main import main
from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.report import page, pages, tables
from jaxrl.run import catalogue
from jaxrl.run.folder import RunFolder
from tests.run import ring

VOID = {"meta", "img"}


class Markup(HTMLParser):
    """Fails on tags that are not closed in order; collects addresses and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.addresses, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.addresses += [v for k, v in attributes if k in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


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


# --------------------------------------------------------------------------------------------------- rows


def test_rows_count_and_aggregate_both_ways():
    x = np.array([8.0, np.nan, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    (row,) = tables.rows({"a": x})
    assert row[:5] == ("a", 9, 8, 1, 0)
    assert row.iqm == (3 + 4 + 5 + 6) / 4
    assert row.iqm_planned == (2 + 3 + 4 + 5 + 6) / 5  # 1 1 2 3 4 5 6 7 8 without two at each end
    assert row.low < row.iqm < row.high


def test_a_stopped_run_has_preempted_members_and_no_diverged_ones():
    (row,) = tables.rows({"a": np.array([1.0, np.nan])}, "preempted")
    assert row[1:5] == (2, 1, 0, 1)
    (row,) = tables.rows({"a": np.full(3, np.nan)})
    assert row == ("a", 3, 0, 3, 0, None, None, None, None)


@pytest.mark.parametrize(
    ("rule", "paper", "tolerance", "verdict"),
    [
        ("within", 10.0, 1.0, "within"),
        ("within", 12.0, 1.0, "outside"),
        ("within", 8.0, 1.0, "outside"),
        ("at least", 8.0, 0.0, "within"),
        ("at least", 11.0, 0.5, "outside"),
        ("at most", 12.0, 0.0, "within"),
        ("at most", 9.0, 0.5, "outside"),
        ("within", None, 0.0, "not judged"),
    ],
)
def test_verdicts(rule, paper, tolerance, verdict):
    entry = {"rule": rule, "paper": paper, "tolerance": tolerance}
    ours, found = tables.judge(np.array([9.0, 11.0]), entry)
    assert found == verdict
    assert ours == "10 [9, 11] (n = 2)"


def test_a_diverged_seed_is_outside_whatever_the_others_did():
    entry = {"rule": "within", "paper": 10.0, "tolerance": 0.0}
    assert tables.judge(np.array([9.0, 11.0, np.nan]), entry) == ("10 [9, 11] (n = 2 of 3)", "outside")


def test_what_did_not_run_or_only_diverged():
    entry = {"rule": "within", "paper": 1.0, "tolerance": 1.0}
    assert tables.judge(None, entry) == ("-", "not run")
    assert tables.judge(np.array([np.nan]), entry) == ("-", "outside")


# ------------------------------------------------------------------------------------------------ publish


@pytest.fixture
def published(tmp_path):
    """A root of its own with expectations and one published run."""
    root = ring.make_root(tmp_path)
    family = root / "experiments" / "toy"
    entry = {"preset": "smoke", "paper": 0.1, "tolerance": 5.0, "source": "table 1", "reason": "a toy"}
    other = {**entry, "preset": "paper", "rule": "at least"}
    (family / "expected.json").write_text(json.dumps({"ring": {"point 0": entry, "point 1": other}}))
    (family / "README.md").write_text("# Toys\n\nBefore.\n")
    folder = api.run("toy/ring", "smoke", root=root)
    assert main(["report", str(folder.path), "--publish", "--root", str(root)]) == 0
    return root, folder


def test_publish_writes_the_table_into_the_readme_and_only_there(published):
    root, folder = published
    readme = root / "experiments" / "toy" / "README.md"
    text = readme.read_text()
    assert text.startswith(f"# Toys\n\nBefore.\n\n{tables.BEGIN}\n\n| experiment |")
    final = folder.load_result()["value"][0, :, -1]
    line = re.search(r"`toy/ring smoke` \| point 0 \| 0.1 \(table 1\) \| (\S+) .* within \| a toy", text)
    assert float(line[1]) == pytest.approx(final.mean(), rel=1e-3)
    assert "| `toy/ring paper` | point 1 | >= 0.1 (table 1) | - | not run | a toy |" in text
    readme.write_text(text + "After.\n")
    tables.write_readme(root, "toy")
    assert readme.read_text() == text + "After.\n"


def test_the_table_follows_the_published_npz(published):
    """Drift: the README must be what the committed arrays say."""
    root, _ = published
    readme = root / "experiments" / "toy" / "README.md"
    assert tables.family_table(root, "toy") in readme.read_text()
    file = root / "experiments" / "toy" / "results" / "ring-smoke.npz"
    np.savez(file, value=np.full((1, 2, 3), 77.0), update=np.arange(3))
    assert tables.family_table(root, "toy") not in readme.read_text()
    assert "77 [77, 77] (n = 2) | outside" in tables.family_table(root, "toy")


def test_published_bytes_are_those_of_the_run(published):
    root, folder = published
    copy = root / "experiments" / "toy" / "results" / "ring-smoke.npz"
    assert copy.read_bytes() == (folder.path / "result.npz").read_bytes()


def test_what_cannot_be_published(published, monkeypatch):
    root, folder = published
    module = catalogue.load(root, "toy/ring")
    folder.set_status("failed", exit_code=4)  # members diverged, the run is complete
    monkeypatch.setattr(tables, "MAX_BYTES", 10)
    with pytest.raises(UsageError, match="publish at most 10"):
        tables.publish(folder, module, root)
    folder.set_status("failed", exit_code=6)
    with pytest.raises(UsageError, match="only finished runs are published"):
        tables.publish(folder, module, root)
    monkeypatch.delattr(module, "scores")
    with pytest.raises(UsageError, match="there is nothing to publish"):
        tables.publish(folder, module, root)


@pytest.mark.parametrize(
    "content",
    ["[", "[]", '{"ring": 3}', '{"ring": {"a": {"paper": 1}}}', '{"ring": {"a": {"rule": "never"}}}'],
)
def test_bad_expectations_are_named(tmp_path, content):
    file = tmp_path / "expected.json"
    file.write_text(content)
    with pytest.raises(CorruptInput, match=re.escape(str(file))):
        tables.read_expected(file)


def test_a_readme_without_its_end_mark_is_refused(published):
    root, _ = published
    readme = root / "experiments" / "toy" / "README.md"
    readme.write_text(readme.read_text().replace(tables.END, ""))
    with pytest.raises(CorruptInput, match="is missing"):
        tables.write_readme(root, "toy")


# -------------------------------------------------------------------------------------------------- pages


def test_run_page_is_one_file_without_the_network(root, finished):
    """Acceptance 10."""
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


def test_text_is_escaped():
    assert page.text("<a href='x'>&") == "&lt;a href=&#x27;x&#x27;&gt;&amp;"
