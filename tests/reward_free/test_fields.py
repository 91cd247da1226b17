"""Fields that the learners on linear mixtures share: their order, their ranges, and who has them."""

import dataclasses

import pytest

from jaxrl.core.errors import UsageError
from jaxrl.reward_free import fields, hf, hf_ucrl_vtr, ucrl_rfe, ucrl_rfe_plus, ucrl_vtr, ucrl_vtr_plus


@pytest.mark.parametrize("module", [hf, hf_ucrl_vtr, ucrl_rfe, ucrl_rfe_plus, ucrl_vtr, ucrl_vtr_plus])
def test_every_learner_begins_with_the_shared_fields(module):
    for own, shared in ((module.Config, fields.Config), (module.Hyper, fields.Hyper)):
        names = [field.name for field in dataclasses.fields(shared)]
        assert [field.name for field in dataclasses.fields(own)][: len(names)] == names
    with pytest.raises(UsageError, match=r"Config\.horizon"):
        module.Config(horizon=0)
