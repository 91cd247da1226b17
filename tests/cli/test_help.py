"""The help of commands and of configurations."""

import dataclasses
from typing import Annotated, Any, Literal

import pytest

from jaxrl.cli import help, options
from jaxrl.cli.main import main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Discount, Range, Size, check_fields
from jaxrl.core.types import struct


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["run", "--help"], "--dry-run"),
        (["sweep", "-h"], "FILE.json"),
        (["resume", "--help"], "--from"),
        (["report", "--help"], "--index"),
        (["export", "--help"], "{csv,parquet,policy}"),
        (["list", "--help"], "Show the experiments with their presets."),
        (["run", "toy/ring", "--help"], "run toy/ring smoke|quick"),
        (["run", "toy/ring", "quick", "--help"], "Number of seeds. Must be >= 1. (default: 3)"),
    ],
)
def test_help_names_the_options(root, args, words, capsys):
    assert main([*args, "--root", str(root)]) == 0
    assert words in " ".join(capsys.readouterr().out.replace("│", "").split())


def test_help_of_a_configuration_says_what_every_field_is(root, capsys):
    assert main(["run", "toy/ring", "quick", "--help", "--root", str(root)]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "--hyper.gamma FLOAT Discount of future rewards. Must be in [0, 1). (default: 0.9)" in text
    assert "--hyper.lr FLOAT Learning rate. Must be > 0 and finite. (default: 0.1)" in text
    assert "The defaults shown are those of preset quick." in text
    assert "--grid FIELD=VALUE,VALUE,... Swept field and its values" in text
    assert "--grid.hyper" not in text


@struct.dataclass
class Base:
    """A record whose fields are inherited."""

    inherited: Discount = 0.5
    """Documented above."""
    surrogate: Any = ()
    """A pytree."""


@struct.dataclass
class Hyper(Base):
    """A flax record."""

    scale: Annotated[float, Range(1, 2)] | None = None
    """Scale of rewards."""


@dataclasses.dataclass(frozen=True)
class Config:
    """A configuration with every kind of field."""

    hyper: Hyper = dataclasses.field(default_factory=Hyper)
    """Hyper-parameters."""
    widths: tuple[Size, ...] = (8, 8)
    """Units of the layers."""
    sizes: tuple[Size, ...] = ()
    """Sizes, each >= 1."""
    kind: Literal["a", "b"] = "a"
    """Kind of thing."""
    on: bool = True
    """Whether it is on."""

    def __post_init__(self):
        check_fields(self)


def test_inherited_fields_of_flax_records_choices_and_ranges_are_shown(capsys):
    with pytest.raises(SystemExit):
        help.parse_config("x", ["--help"], Config(), options.ResumeOptions, "Text.")
    text = " ".join(capsys.readouterr().out.replace("│", "").split())
    assert "--hyper.inherited FLOAT Documented above. Must be in [0, 1). (default: 0.5)" in text
    assert "--hyper.scale {None}|FLOAT Scale of rewards. Must be in [1, 2]. (default: None)" in text
    assert "--widths [INT [INT ...]] Units of the layers. Every entry must be >= 1. (default: 8 8)" in text
    assert "--kind {a,b} Kind of thing. (default: a)" in text
    assert "--on, --no-on Whether it is on. (default: True)" in text
    assert "surrogate" not in text  # no text can say a pytree
    assert "--sizes [INT [INT ...]] Sizes, each >= 1. (default: none)" in text


def test_options_change_what_they_name_and_nothing_else():
    args = ["--hyper.inherited", "0.25", "--widths", "4", "--no-on", "--kind", "b", "--from", "7"]
    config, chosen = help.parse_config(
        "x", args, Config(hyper=Hyper(surrogate=(1.0,))), options.ResumeOptions, ""
    )
    assert config == Config(Hyper(inherited=0.25, surrogate=(1.0,)), (4,), (), "b", False)
    assert chosen.start == "7"
    with pytest.raises(UsageError, match=r"Config\.hyper\.inherited: must be in \[0, 1\), got 1\.5"):
        help.parse_config("x", ["--hyper.inherited", "1.5"], Config(), options.ResumeOptions, "")
