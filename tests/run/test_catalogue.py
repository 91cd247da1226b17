"""Experiments found by name."""

import pytest

from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.run import catalogue
from tests.run import ring


def test_catalogue_reads_names_titles_and_presets_without_importing(tmp_path):
    base = tmp_path / "experiments"
    (base / "fam" / "big").mkdir(parents=True)
    (base / "fam" / "one.py").write_text(
        '"""One.\n\nMore."""\nimport nothing_of_that_name\nPRESETS = {"a": 1}\n'
    )
    (base / "fam" / "big" / "__init__.py").write_text('"""Big."""\nPRESETS: dict = {"b": 1, "c": 2}\n')
    (base / "fam" / "helper.py").write_text("x = 1\n")
    (base / "fam" / "wrong.py").write_text("def f(:\n")
    (base / "fam" / "binary.py").write_bytes(b"\x00\xff\x80")
    found = {e.name: (e.title, e.presets) for e in catalogue.find(tmp_path)}
    assert found["fam/one"] == ("One.", ("a",))
    assert found["fam/big"] == ("Big.", ("b", "c"))
    assert found["fam/wrong"][0].startswith("cannot be read: line 1")
    assert found["fam/binary"][0].startswith("cannot be read: ")
    assert set(found) == {"fam/one", "fam/big", "fam/wrong", "fam/binary"}


def test_looking_one_experiment_up_reads_no_other(tmp_path, monkeypatch):
    base = tmp_path / "experiments" / "fam"
    (base / "big").mkdir(parents=True)
    for file in (base / "one.py", base / "two.py", base / "big" / "__init__.py"):
        file.write_text('"""Title."""\nPRESETS = {"a": 1}\n')
    (base / "helper.py").write_text("x = 1\n")
    read, original = [], catalogue._read
    monkeypatch.setattr(catalogue, "_read", lambda folder, path: read.append(path) or original(folder, path))
    assert catalogue.lookup(tmp_path, "fam/one").path == base / "one.py"
    assert catalogue.lookup(tmp_path, "fam/big").path == base / "big" / "__init__.py"
    assert read == [base / "one.py", base / "big" / "__init__.py"]
    for name in ("fam/helper", "fam/../fam/one", "one", "fam/on"):
        with pytest.raises(UsageError, match="unknown experiment"):
            catalogue.lookup(tmp_path, name)


def test_an_experiment_of_another_root_is_not_confused(root, tmp_path):
    other = ring.make_root(tmp_path)
    file = other / "experiments" / "toy" / "ring.py"
    file.write_text(file.read_text().replace("updates: Size = 6", "updates: Size = 7"))
    assert catalogue.load(root, "toy/ring").PRESETS["smoke"].updates == 6
    assert catalogue.load(other, "toy/ring").PRESETS["smoke"].updates == 7
    assert catalogue.load(root, "toy/ring").PRESETS["smoke"].updates == 6


def test_an_experiment_without_its_functions_is_refused(tmp_path):
    folder = tmp_path / "experiments" / "fam"
    folder.mkdir(parents=True)
    (folder / "bare.py").write_text("PRESETS = {}\n")
    with pytest.raises(UsageError, match="defines Config, run, figure as well"):
        catalogue.load(tmp_path, "fam/bare")


def test_an_experiment_that_cannot_be_imported_is_one_sentence_with_file_and_line(tmp_path):
    folder = tmp_path / "experiments" / "fam"
    folder.mkdir(parents=True)
    (folder / "lacks.py").write_text("PRESETS = {}\nimport a_library_that_is_not_here\n")
    (folder / "broken.py").write_text("PRESETS = {}\n\n\n1 / 0\n")
    with pytest.raises(
        MissingExtra, match=r"lacks\.py: cannot be imported \(ModuleNotFoundError: .*, line 2\)"
    ):
        catalogue.load(tmp_path, "fam/lacks")
    with pytest.raises(UsageError, match=r"broken\.py: cannot be imported \(ZeroDivision.*, line 4\)"):
        catalogue.load(tmp_path, "fam/broken")
