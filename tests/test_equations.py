"""Tags of equations are read from docstrings, and tables are written between the marks of a README."""

import pytest

from jaxrl.equations import BEGIN, END, Equation, collect, table, with_table


def test_collect_reads_functions_and_methods(tmp_path):
    (tmp_path / "a.py").write_text(
        '"""Equation: no_function (1)"""\n'
        'def f():\n    """Text.\n\n    Equation: doe2020x (12)\n    Equation: doe2020x (9)\n    """\n'
        'class C:\n    def g(self):\n        """Equation: abel1999y [main bound]"""\n'
    )
    assert collect(tmp_path) == [
        Equation("abel1999y", "[main bound]", "C.g", "a.py", 9),
        Equation("doe2020x", "(9)", "f", "a.py", 2),
        Equation("doe2020x", "(12)", "f", "a.py", 2),
    ]


@pytest.mark.parametrize(
    "line", ["Equation: doe2020x 12", "Equation: (12)", "Equation: doe2020x (12) and more"]
)
def test_collect_refuses_a_tag_it_cannot_read(tmp_path, line):
    (tmp_path / "a.py").write_text(f'def f():\n    """{line}"""\n')
    with pytest.raises(ValueError, match=r"a\.py:1 f"):
        collect(tmp_path)


def test_with_table_replaces_what_stands_between_the_markers():
    one = [Equation("doe2020x", "(9)", "f", "a.py", 2)]
    readme = f"# Family\n\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_table(readme, one) == f"# Family\n\n{BEGIN}\n{table(one)}\n{END}\nafter\n"
    assert with_table("plain", []) == "plain"
    with pytest.raises(ValueError, match="no place"):
        with_table("plain", one)
