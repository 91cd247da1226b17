from types import SimpleNamespace

import pytest

from jaxrl.core.errors import UsageError, check_sizes, nearest


def test_check_sizes_names_the_first_field_below_one():
    record = SimpleNamespace(a=1, b=0, c=-1, d=None)
    check_sizes(record, "a", "d")
    with pytest.raises(UsageError, match=r"^SimpleNamespace\.b: must be >= 1, got 0$"):
        check_sizes(record, "a", "d", "b", "c")


def test_nearest_offers_one_name_or_lists_them_all():
    assert nearest("seads", ["seeds", "updates"]) == "did you mean 'seeds'?"
    assert nearest("xyz", ["seeds", "updates"]) == "there are seeds, updates"
