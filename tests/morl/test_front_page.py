"""The page of a front: self-contained, honest about its data, and right in what it serves."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

from experiments.morl import front_page
from experiments.morl.front_page import Curves, Front, Rollouts, render
from experiments.shared import one_file
from jaxrl.core.errors import UsageError

POINTS = np.array([[1.0, -1.0], [3.0, -2.0], [9.0, -5.0]])


def data_of(text: str) -> dict:
    return json.loads(re.search(r"<script type='application/json' id='data'>(.*?)</script>", text, re.S)[1])


def test_page_holds_its_data_and_asks_for_nothing_else():
    front = Front(
        "A front",
        ("gain", "time </script>"),
        POINTS,
        [0, -10],
        {"discount": 0.99},
        exact=POINTS[[0, 2]],
        starts=POINTS[:1],
        ends=POINTS[1:2],
        feasible=[True],
        rollouts=Rollouts(2, 2, [[[0, 0], [1, 1]]] * 3),
    )
    text = render(front)
    data = data_of(text)
    np.testing.assert_allclose(data["returns"], POINTS)
    assert data["objectives"] == ["gain", "time </script>"]
    assert data["arrows"] == [{"start": [1, -1], "end": [3, -2], "feasible": True}]
    assert data["rollouts"]["paths"][2] == [[0, 0], [1, 1]]
    assert "Discount 0.99" in text
    # the name of the markup of pictures is the only address
    assert set(re.findall(r"https?://[^\"'\s)]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|img|iframe)|fetch\(|import ", text)


def test_nine_objectives_and_two_hundred_policies_fit():
    points = np.random.default_rng(0).random((200, 9))
    text = render(Front("Nine", tuple("abcdefghi"), points, [0] * 9))
    assert len(text.encode()) < one_file.LARGEST / 10
    np.testing.assert_allclose(data_of(text)["returns"], points, rtol=1e-6)


def test_curves_of_every_policy_are_in_the_page():
    panels = (("temperature", ("lower", "upper")), ("power", ("all",)))
    values = [np.arange(12.0).reshape(4, 3) + i for i in range(3)]
    text = render(Front("Curves", ("a", "b"), POINTS, [0, -10], rollouts=Curves(panels, values, "hour")))
    shown = data_of(text)["rollouts"]
    np.testing.assert_allclose(shown["values"], values)
    assert shown["panels"] == [["temperature", ["lower", "upper"]], ["power", ["all"]]]
    assert shown["across"] == "hour" and "<button id='again' type='button' hidden>" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objectives": ("one",)}, "2 or more"),
        ({"returns": np.zeros((0, 2))}, "no policy"),
        ({"returns": [[1.0, np.nan]]}, "returns: must be finite"),
        ({"exact": np.zeros((3, 3))}, "exact: must be"),
        ({"reference": [0.0]}, r"reference: must be \[2\]"),
        ({"starts": POINTS}, "one length"),
        (
            {"starts": POINTS, "ends": POINTS, "feasible": [True] * 3, "extended": [0, 1, 2]},
            "extended: must hold an objective of 0 to 1 for each of the 3 extensions",
        ),
        ({"rollouts": Rollouts(1, 1, [])}, "0 ways for 3 policies"),
        ({"rollouts": Curves((("y", ("a",)),), [])}, "curves of 0 policies for 3"),
        ({"rollouts": Curves((("y", ("a",)),), [np.zeros((4, 2))] * 3)}, r"values\[0\]: must be .* \[T, 1\]"),
        ({"rollouts": Rollouts(1, 1, [np.full((99999, 2), 1.2345)] * 3)}, "leave the rollouts out"),
    ],
)
def test_fronts_that_cannot_be_shown_are_refused(change, message):
    fields = {"title": "t", "objectives": ("a", "b"), "returns": POINTS, "reference": [0, -10]} | change
    with pytest.raises(UsageError, match=message):
        render(Front(**fields))


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_mixtures_of_the_page_equal_a_linear_programme():
    script = (Path(front_page.__file__).parent / "front_page.js").read_text()
    part = re.search(r"(let weights.*?)// ---- plots", script, re.S)[1]
    rng = np.random.default_rng(1)
    cases = []
    for k in range(20):
        points = rng.normal(size=(30, 2 + k % 4)) * 10
        bounds = [*np.quantile(points[:, :-1], 0.5 + 0.02 * k, axis=0), None]
        cases.append({"returns": points.tolist(), "reference": points.min(0).tolist(), "bounds": bounds})
    program = f"""
        const dot = (a, b) => a.reduce((s, x, i) => s + x * b[i], 0), range = k => [...Array(k).keys()];
        const cases = {json.dumps(cases)};
        const out = cases.map(data => {{
          const returns = data.returns, n = returns.length, m = data.bounds.length;
          {part}
          return mixture(m - 1, data.bounds);
        }});
        console.log(JSON.stringify(out));"""
    answers = json.loads(
        subprocess.run(["node", "-e", program], capture_output=True, check=True, timeout=60).stdout
    )
    feasible = 0
    for case, answer in zip(cases, answers, strict=True):
        points, share = np.array(case["returns"]), np.array(answer["share"])
        bounds = np.array(case["bounds"][:-1], float)
        exact = linprog(
            -points[:, -1],
            A_ub=-points[:, :-1].T,
            b_ub=-bounds,
            A_eq=np.ones((1, 30)),
            b_eq=[1],
            bounds=(0, None),
        )
        assert answer["feasible"] == (exact.status == 0)
        np.testing.assert_allclose(share.sum(), 1, atol=1e-7)
        if answer["feasible"]:
            feasible += 1
            np.testing.assert_allclose(share @ points[:, -1], -exact.fun, rtol=1e-6)
            assert np.all(share @ points[:, :-1] >= bounds - 1e-6)
    assert 0 < feasible < 20


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("m", [2, 4])
def test_arrow_keys_serve_the_next_policy_and_keep_the_focus(tmp_path, m):
    # policies 2, 0, 1 in the order of the first objective; uniform preferences are served by policy 0
    points = np.array([[1.0, 9.0], [2.0, 0.0], [0.0, 5.0]]) @ np.eye(2, m)
    front = Front("Keys", tuple("abcd"[:m]), points, [-1] * m, exact=points)
    steps = """<script>
        const said = [];
        document.getElementById("first").focus();
        for (const key of ["Tab", "ArrowLeft", "ArrowLeft", "ArrowRight", "End"]) {
          document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key}));
          said.push(document.activeElement.getAttribute("aria-label").split(":")[0]);
        }
        const stops = document.querySelectorAll("#plot [tabindex='0']").length;
        document.title = JSON.stringify([said, stops, document.documentElement.scrollWidth <= innerWidth]);
    </script></body>"""
    path = tmp_path / "front.html"
    path.write_text(render(front).replace("</body>", steps))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    done = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)[1]
    said, stops, within = json.loads(title.replace("&quot;", '"'))
    assert said == [f"policy {i}" for i in (0, 2, 2, 0, 1)]
    assert stops == 1 and within
