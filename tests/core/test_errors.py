"""The end of a sentence about an unknown name."""

from jaxrl.core.errors import nearest


def test_nearest_offers_one_name_or_lists_them_all():
    assert nearest("seads", ["seeds", "updates"]) == "did you mean 'seeds'?"
    assert nearest("xyz", ["seeds", "updates"]) == "there are seeds, updates"
