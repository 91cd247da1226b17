"""From a method's name to its file, Config and Hyper; refusals name the field."""

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.dual_rl import dual_q, dual_v, forms, implicit, recoil
from jaxrl.dual_rl.methods import METHODS
from tests.dual_rl.dual_tables import OBS

TRAINED = [name for name, row in METHODS.items() if row.file]


@pytest.mark.parametrize("name", TRAINED)
def test_every_method_has_a_config_that_holds_it_and_its_own_parameter(name):
    config = forms.config(name, batch_size=4)
    assert isinstance(config, forms.file_of(name).Config)
    assert forms.names_of(config) == (name,) and config.batch_size == 4
    made = forms.hyper(config, gamma=0.5)
    assert (made.parameter, made.gamma) == (METHODS[name].parameter, 0.5)
    assert "parameter" in forms.reads(config)


def test_implicit_maximisers_are_one_program():
    config = forms.config("XQL", "SQL", "IQL")
    assert forms.hyper(config, "IQL").which == 2
    assert forms.file_of("XQL") is implicit and forms.file_of("ReCOIL released") is recoil
    assert forms.file_of("ODICE") is dual_v and forms.file_of("CQL") is dual_q


IMPLICIT = forms.config("f-DVL chi2")


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: forms.config("IQ"), "did you mean 'IQL'"),
        (forms.config, "name at least one"),
        (lambda: forms.config("IQL", "ODICE"), "differ in more than their maximiser"),
        (lambda: forms.config("OptiDICE", "OptiDICE"), "differ in more than"),
        (lambda: forms.config("ReCOIL"), "use ReCOIL released"),
        (lambda: implicit.Config(methods=()), "name at least one"),
        (lambda: implicit.Config(methods=("ODICE",)), r"Config.methods\[0\]: must be one of 'XQL', 'EQL'"),
        (lambda: dual_v.Config(method="CQL"), "Config.method: must be one of 'OptiDICE', 'SMODICE', 'ODICE'"),
        (lambda: forms.config("IQL", batch_size=0), "Config.batch_size"),
        (lambda: forms.config("IQL", widths=(0,)), "Config.widths"),
        (lambda: forms.config("IQL", extraction="softmax"), "Config.extraction"),
        (lambda: forms.config("IQL", extraction="dual"), "dual weights need a divergence"),
        (lambda: forms.config("IQL", activation="sinus"), "Config.activation: must be one of 'tanh', 'relu'"),
        (lambda: forms.config("ReCOIL released", terminals="mask"), "Config.terminals: must be one of"),
        (lambda: forms.hyper(IMPLICIT, "XQL"), "none of the methods"),
        (lambda: forms.hyper(IMPLICIT, parameter=1.0), "has no term that lowers V"),
        (lambda: forms.hyper(forms.config("f-DVL tv"), parameter=0.5), "must be > 1/2 for tv"),
        (lambda: forms.hyper(forms.config("IQL"), parameter=1.5), "level of IQL"),
        (lambda: forms.hyper(forms.config("XQL"), parameter=0.0), "Hyper.parameter: must be > 0"),
        (lambda: forms.hyper(forms.config("ReCOIL-Q"), parameter=1.0), "beta of ReCOIL-Q"),
        (lambda: forms.hyper(IMPLICIT, lambda_=0.5), "Hyper.lambda_: no such hyper-parameter; did you mean"),
        (lambda: forms.hyper(forms.config("ODICE"), awr=1.0), "Hyper.awr: no such hyper-parameter"),
        (lambda: forms.hyper(IMPLICIT, parameter=np.ones(2)), "Hyper.parameter: must be one number"),
        (lambda: forms.hyper(IMPLICIT, gamma=1.0), r"Hyper.gamma: must be in \[0, 1\), got 1.0"),
        (lambda: forms.hyper(IMPLICIT, tau=-1), r"Hyper.tau: must be in \(0, 1\]"),
        (lambda: forms.hyper(IMPLICIT, awr=np.nan), "Hyper.awr: must be >= 0 and finite"),
        (lambda: forms.hyper(IMPLICIT, huber=-1), "Hyper.huber: must be > 0"),
        (lambda: forms.hyper(forms.config("CQL"), entropy=-1), "Hyper.entropy: must be >= 0"),
        (lambda: forms.algorithm(IMPLICIT, OBS, Box(-np.inf, 1.0, (1,))), "action_space: needs bounds"),
        (
            lambda: forms.algorithm(IMPLICIT, OBS, (Discrete(2), Discrete(2))),
            "must be Discrete or a bounded Box",
        ),
    ],
)
def test_refusals_name_the_field(made, sentence):
    with pytest.raises(UsageError, match=sentence):
        made()
