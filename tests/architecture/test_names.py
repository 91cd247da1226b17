"""Where the test of a module stands: `tests/<package>/test_<module>.py`."""

from pathlib import Path

from tests.architecture.source_tree import ROOT, problems, python_files


def test_file(module: Path) -> Path:
    """The test file of a module given relative to the root, `jaxrl/a/b.py` or `theory/exact/b.py`."""
    inside = module.parts[1:] if module.parts[0] == "jaxrl" else module.parts
    return Path("tests", *inside[:-1], f"test_{module.name}")


test_file.__test__ = False
MODULES = [path for path in python_files("jaxrl", "theory/exact") if path.name != "__init__.py"]


def test_every_module_has_a_test_of_its_name():
    def missing(module):
        return [] if (ROOT / test_file(module)).exists() else [test_file(module)]

    assert problems(missing, MODULES) == {}


def test_the_place_of_a_test_follows_from_the_module():
    assert test_file(Path("jaxrl/envs/sets/log_det.py")) == Path("tests/envs/sets/test_log_det.py")
    assert test_file(Path("theory/exact/lp.py")) == Path("tests/theory/exact/test_lp.py")
