"""Figures say what the numbers say: curves, bands and cells are read back from the drawing."""

import matplotlib
import numpy as np
import pytest

from jaxrl.report import plots, statistics

X = np.arange(5) * 10_000.0


def returns(seeds=8):
    return np.random.default_rng(0).normal(size=(seeds, 5)).cumsum(1)


def draw(y, **options):
    with plots.paper():
        _, axes = plots.subplots()
        plots.learning_curve(axes[0, 0], X, y, resamples=200, **options)
        return axes[0, 0]


def test_curve_is_the_iqm_and_band_its_bootstrap_interval():
    y = returns(12)
    ax = draw(y, label="PPO")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), statistics.iqm(y.T[:, :, None]))
    assert ax.lines[0].get_label() == "PPO (n = 12)"
    low, high = statistics.bootstrap_interval(statistics.iqm, y.T[:, :, None], resamples=200)
    vertices = ax.collections[0].get_paths()[0].vertices
    for x, a, b in zip(X, low, high, strict=True):
        found = vertices[vertices[:, 0] == x][:, 1]
        np.testing.assert_allclose([found.min(), found.max()], [a, b])


@pytest.mark.parametrize(("seeds", "lines", "bands"), [(1, 1, 0), (2, 3, 0), (9, 10, 0), (10, 1, 1)])
def test_below_ten_seeds_every_seed_is_shown_and_no_band(seeds, lines, bands):
    ax = draw(returns(seeds))
    assert (len(ax.lines), len(ax.collections)) == (lines, bands)


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({"better": "more"}, -3.0),
        ({"better": "more", "worst": -100.0}, -100.0),
        ({"better": "more", "worst": 0.0}, -3.0),
        ({"better": "less"}, 4.0),
        ({"better": "less", "worst": 3.0}, 4.0),
        ({"worst": 7.0}, 7.0),
    ],
)
def test_a_diverged_seed_counts_as_worst_and_is_named(options, value):
    y = np.tile(np.arange(5.0), (4, 1))
    y[0, 0] = -3.0
    y[1, 3:] = np.nan
    ax = draw(y, **options)
    filled = np.where(np.isfinite(y), y, value)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), statistics.iqm(filled.T[:, :, None]))
    assert ax.lines[0].get_label() == "n = 4, 1 diverged"


def test_a_curve_without_a_direction_ends_where_a_seed_diverged():
    y = np.tile(np.arange(5.0), (4, 1))
    y[1, 3:] = np.nan
    np.testing.assert_array_equal(draw(y).lines[0].get_ydata(), [0, 1, 2, np.nan, np.nan])


def test_dots_show_every_seed_the_mean_and_its_interval():
    with plots.paper():
        _, axes = plots.subplots()
        plots.seed_dots(axes[0, 0], ["a", "b"], [np.array([1.0, 3.0, np.nan]), np.array([5.0])])
    ax = axes[0, 0]
    drawn = [line.get_xdata().tolist() for line in ax.lines]
    low, high = statistics.mean_interval(np.array([[1.0], [3.0]]))
    assert drawn == [[1.0, 3.0], [2.0], [low, high], [5.0], [5.0]]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a (1 diverged)", "b"]
    with pytest.raises(ValueError, match="2 arrays for 1 names"):
        plots.seed_dots(ax, ["a"], [np.zeros(1), np.zeros(1)])


@pytest.mark.parametrize("y", [np.zeros(5), np.zeros((2, 4)), np.full((2, 5), np.nan)])
def test_curves_that_cannot_be_drawn(y):
    with pytest.raises(ValueError, match="y: "):
        draw(y)


def test_cells_carry_numbers_notes_and_readable_ink():
    values = np.array([[0.0, 100.0], [np.nan, 50.0]])
    with plots.paper():
        fig, axes = plots.subplots()
        plots.heat_map(
            axes[0, 0], values, ["a", "b"], ["c", "d"], notes=[["n = 8", ""], ["", ""]], label="IQM"
        )
    ax = axes[0, 0]
    texts = {(t.xy, t.get_text()): t.get_color() for t in ax.texts}
    assert texts[((0, 0), "0")] == texts[((0, 0), "n = 8")] == "#ffffff"  # white on the darkest cell
    assert texts[((1, 0), "100")] == "#14171a"
    assert ((0, 1), "diverged") in texts
    assert [t.get_text() for t in ax.get_xticklabels()] == ["c", "d"]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    assert fig.axes[1].get_ylabel() == "IQM"
    with pytest.raises(ValueError, match=r"values: shape \(2, 2\), but 1 rows and 2 columns"):
        plots.heat_map(ax, values, ["a"], ["c", "d"])


def test_files_depend_on_the_picture_alone(tmp_path, monkeypatch):
    def write(folder, y):
        folder.mkdir()
        with plots.paper():
            fig, axes = plots.subplots()
            axes[0, 0].plot(X, y)
            return [p.read_bytes() for p in plots.save(fig, folder / "a.b")]

    first = write(tmp_path / "1", X)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert write(tmp_path / "2", X) == first
    assert write(tmp_path / "3", -X) != first
    assert sorted(p.name for p in (tmp_path / "1").iterdir()) == ["a.b.pdf", "a.b.png", "a.b.svg"]


def test_the_style_ends_with_its_block():
    before = dict(matplotlib.rcParams)
    with plots.paper():
        assert matplotlib.rcParams["svg.hashsalt"] == "jaxrl"
    assert dict(matplotlib.rcParams) == before
