"""What is about to be run: configurations, grids, sweep files, estimates."""

import dataclasses
import json
import types

import pytest

from jaxrl.cli import options, plan
from jaxrl.cli.main import main
from jaxrl.core.errors import UsageError
from jaxrl.run import catalogue
from jaxrl.run.config import config_from_dict, config_to_dict


def test_dry_run_prints_configuration_and_cost(root, document):
    code, found = document(
        "run", "toy/ring", "quick", "--dry-run", "--hyper.gamma", "0.5", "--root", str(root)
    )
    assert code == 0
    assert found["config"]["hyper"]["gamma"] == 0.5
    assert found["estimate"] == {
        "members": 6,  # two learning rates, three seeds
        "updates": 12,
        "compilations": 1,
        "env_steps": None,
        "memory_mb": None,
    }
    assert not (root / "runs" / "toy" / "ring" / f"quick-{found['config_hash'][:8]}").exists()


def test_estimate_counts_compile_buckets_and_asks_the_experiment():
    config = types.SimpleNamespace(grid={"hyper.lr": (1, 2, 3), "algo.n": (4, 8)}, seeds=5, updates=7)
    module = types.SimpleNamespace(estimate=lambda config: {"env_steps": 70})
    found = plan.estimate(module, config)
    assert (found["members"], found["compilations"], found["env_steps"]) == (30, 2, 70)


def test_environment_steps_follow_from_the_sizes_of_unrolls():
    @dataclasses.dataclass(frozen=True)
    class Algo:
        n_envs: int = 4
        length: int = 8

    @dataclasses.dataclass(frozen=True)
    class Config:
        algo: Algo = Algo()
        seeds: int = 3
        updates: int = 10
        grid: dict = dataclasses.field(default_factory=lambda: {"algo.n_envs": (2, 5)})

    assert plan.estimate(types.SimpleNamespace(), Config())["env_steps"] == 3 * 10 * 8 * (2 + 5)
    module = types.SimpleNamespace(estimate=lambda config: {"members": 12})
    assert plan.estimate(module, Config(grid={}))["env_steps"] == 12 * 10 * 4 * 8


def test_print_config_feeds_config_file(root, tmp_path, document):
    options = ("--hyper.lr", "0.3", "--algo.width", "4", "--root", str(root))
    _, printed = document("run", "toy/ring", "smoke", "--print-config", *options)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(dict(reversed(printed.items()))))
    _, direct = document("run", "toy/ring", "smoke", "--dry-run", *options)
    _, read = document("run", "toy/ring", "--config-file", str(file), "--dry-run", "--root", str(root))
    assert read["config_hash"] == direct["config_hash"]
    _, changed = document(
        "run", "toy/ring", f"--config-file={file}", "--dry-run", "--seed", "9", "--root", str(root)
    )
    assert changed["config_hash"] != direct["config_hash"]
    assert changed["config"] == {**direct["config"], "seed": 9}


def test_sweep_file_says_the_same(root, tmp_path, document):
    file = tmp_path / "sweep.json"
    content = {"experiment": "toy/ring", "preset": "smoke", "grid": {"hyper.lr": [0.1, 0.3]}, "seeds": 3}
    file.write_text(json.dumps(content))
    _, read = document("sweep", str(file), "--dry-run", "--root", str(root))
    args = (
        "toy/ring",
        "smoke",
        "--seeds",
        "3",
        "--grid",
        "hyper.lr=0.1,0.3",
        "--dry-run",
        "--root",
        str(root),
    )
    _, typed = document("sweep", *args)
    assert read == typed
    assert read["estimate"]["members"] == 6


def test_a_sweep_file_may_set_records_and_truth_values_and_is_named_in_its_commands(root, tmp_path, document):
    file = tmp_path / "sweep.json"
    content = {"experiment": "toy/ring", "preset": "smoke", "grid": {"hyper.lr": [0.1, 0.3]}}
    file.write_text(json.dumps({**content, "algo.poison": [9, 0], "hyper.gamma": 0.5}))
    args = ["sweep", str(file), "--seeds", "3", "--root", str(root)]
    code, read = document(*args, "--dry-run")
    assert code == 0
    assert (read["config"]["algo"]["poison"], read["config"]["hyper"]["gamma"]) == ([9, 0], 0.5)
    assert read["config"]["seeds"] == 3
    _, found = document(*args, "--print")
    common = f"jaxrl sweep {file} --seeds 3 --root {root} --grid hyper.lr="
    assert found["commands"] == [f"{common}0.1", f"{common}0.3"]
    file.write_text(json.dumps({**content, "algo.poisn": [9, 0]}))
    assert document(*args, "--dry-run") == (
        2,
        {"error": "unknown field 'algo.poisn'; nearest: algo.poison, algo.width, algo", "exit_code": 2},
    )


def test_grid_values_have_the_type_of_their_field():
    @dataclasses.dataclass(frozen=True)
    class Config:
        n: int = 1
        x: float = 1.0
        name: str = "a"
        on: bool = False
        grid: dict[str, tuple[int | float | bool | str, ...]] = dataclasses.field(default_factory=dict)

    grid = plan.parse_grid(Config(), ["n=2,3", "x=2,1e-3", "name=b", "on=true,False"])
    assert grid == {"n": (2, 3), "x": (2.0, 1e-3), "name": ("b",), "on": (True, False)}
    assert [type(v) for v in grid["x"]] == [float, float]


def test_an_experiment_without_a_grid_field_is_told_how_to_get_one():
    @dataclasses.dataclass(frozen=True)
    class Config:
        n: int = 1

    with pytest.raises(UsageError, match=r"no field 'grid'.*jaxrl\.run\.grid\.expand"):
        plan.parse_grid(Config(), ["n=2,3"])
    plan.require_grid(dataclasses.make_dataclass("Swept", [("grid", dict)])({}))


def test_config_round_trip_of_every_preset(root):
    module = catalogue.load(root, "toy/ring")
    for config in module.PRESETS.values():
        assert config_from_dict(module.Config, config_to_dict(config)) == config


def swept(root, *args):
    return plan.read("run", ["toy/ring", *args], root, options.SweepOptions).config


def test_an_option_replaces_the_axis_of_the_grid_whatever_its_value(root, tmp_path):
    assert swept(root, "quick").grid == {"hyper.lr": (0.1, 0.2)}
    for text in ("0.5", "0.1"):  # the second is the preset's own value
        config = swept(root, "quick", f"--hyper.lr={text}")
        assert (config.grid, config.hyper.lr) == ({}, float(text))
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config_to_dict(swept(root, "quick"))))
    assert swept(root, "--config-file", str(file), "--hyper.lr", "0.5").grid == {}
    assert swept(root, "--config-file", str(file), "--seeds", "1").grid == {"hyper.lr": (0.1, 0.2)}


def test_a_field_cannot_be_set_and_swept_at_once(root, tmp_path):
    args = ("quick", "--grid", "hyper.lr=1e-3", "--hyper.lr", "5")
    with pytest.raises(UsageError, match=r"hyper\.lr: is set, and swept by the grid"):
        swept(root, *args)
    file = tmp_path / "sweep.json"
    content = {"experiment": "toy/ring", "preset": "smoke", "grid": {"hyper.lr": [0.1]}, "hyper.lr": 0.2}
    file.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"hyper\.lr: is set, and swept by the grid"):
        plan.read("sweep", [str(file)], root, options.SweepOptions)


def test_values_of_one_field_are_joined_and_replace_those_of_a_file(root, tmp_path):
    args = ("--grid", "hyper.lr=1e-3", "--grid", "hyper.gamma=0.5", "--grid", "hyper.lr=3e-3,1")
    assert swept(root, "quick", *args).grid == {"hyper.lr": (1e-3, 3e-3, 1.0), "hyper.gamma": (0.5,)}
    file = tmp_path / "sweep.json"
    content = {"experiment": "toy/ring", "preset": "smoke", "grid": {"hyper.lr": [0.1], "seeds": [1, 2]}}
    file.write_text(json.dumps(content))
    read = plan.read("sweep", [str(file), "--grid", "hyper.lr=0.3"], root, options.SweepOptions)
    assert read.config.grid == {"hyper.lr": (0.3,), "seeds": (1, 2)}


@pytest.mark.parametrize(
    "changed", [{"experiment": 5}, {"preset": None}, {"grid": {"hyper.lr": 0.1}}, {"hyper.gamma": "high"}]
)
def test_a_sweep_file_of_another_form_is_refused_in_one_sentence(root, tmp_path, changed, capsys):
    file = tmp_path / "sweep.json"
    content = {"experiment": "toy/ring", "preset": "smoke", "grid": {"hyper.lr": [0.1]}}
    file.write_text(json.dumps({**content, **changed}))
    assert main(["sweep", str(file), "--root", str(root)]) == 2
    assert capsys.readouterr().err.count("jaxrl: ") == 1


def test_more_members_than_memory_are_refused_before_a_folder_exists(root, tmp_path, capsys):
    args = [
        "run",
        "toy/ring",
        "smoke",
        "--seeds",
        "100000000000",
        "--root",
        str(root),
        "--out",
        str(tmp_path),
    ]
    assert main(args) == 2
    assert "memory: 100000000000 members need at least" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
