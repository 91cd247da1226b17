"""The smallest problem for every form of dual RL, read by tests/contract; one case per program."""

from jaxrl.dual_rl import forms
from jaxrl.dual_rl.data import Data, initial
from tests.dual_rl.dual_tables import BOX, KEYS, OBS, dataset


def small(names, action_space, **changes):
    """Linear networks: what is checked here does not depend on depth, and costs less to compile."""
    config = forms.config(*names, batch_size=8, widths=())
    reference = dataset(action_space)
    data = Data(reference, dataset(action_space, 1, 8), initial(reference))
    hypers = forms.hyper(config, names[0]), forms.hyper(config, names[-1], **changes)
    return forms.algorithm(config, OBS, action_space), hypers, data, OBS, action_space


CASES = {
    "implicit": lambda: small(("XQL", "f-DVL tv"), KEYS),
    "recoil": lambda: small(("ReCOIL released",), BOX, gamma=0.9),
    "dual_v": lambda: small(("SMODICE",), BOX, gamma=0.9),
    "dual_q": lambda: small(("ReCOIL-Q",), KEYS, entropy=0.1),
}
