from types import SimpleNamespace

import pytest

from jaxrl.core.errors import UsageError, check_sizes


def test_check_sizes_names_the_first_field_below_one():
    record = SimpleNamespace(a=1, b=0, c=-1, d=None)
    check_sizes(record, "a", "d")
    with pytest.raises(UsageError, match=r"^SimpleNamespace\.b: must be >= 1, got 0$"):
        check_sizes(record, "a", "d", "b", "c")
