"""What a bug report should say about a machine."""

import json

from jaxrl.cli import doctor


def test_doctor_says_what_a_bug_report_needs(root, document):
    code, found = document("doctor", "--root", str(root))
    assert code == 0
    needed = {"python", "jax", "backend", "devices", "cores", "memory", "EGL", "warp", "cache", "free disk"}
    assert needed <= set(found)
    assert found["devices"].count("cpu") == 4
    again = json.loads(json.dumps(doctor.examine(root)))
    for changing in ("memory", "free disk"):
        del found[changing], again[changing]
    assert found == again
