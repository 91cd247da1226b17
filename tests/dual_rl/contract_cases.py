"""The smallest problem for every form of the learner, read by tests/contract; one case per program."""

from jaxrl.dual_rl import learner
from jaxrl.dual_rl.batches import Data, initial
from jaxrl.dual_rl.learner import Config, hyper
from tests.dual_rl.dual_tables import BOX, KEYS, OBS, dataset


def small(methods, action_space, numbers, **static):
    """Linear networks: what is checked here does not depend on depth, and costs less to compile."""
    config = Config(methods=methods, batch_size=8, widths=(), **static)
    reference = dataset(action_space)
    data = Data(reference, dataset(action_space, 1, 8), initial(reference))
    hypers = (hyper(config, methods[0]), hyper(config, methods[-1], **numbers))
    return learner.make(config, OBS, action_space), hypers, data, OBS, action_space


CASES = {
    "learner: value losses": lambda: small(("XQL", "f-DVL tv"), KEYS, {}),
    "learner: ReCOIL": lambda: small(("ReCOIL released",), BOX, {"gamma": 0.9}, squash=True),
    "learner: SMODICE": lambda: small(("SMODICE",), BOX, {"gamma": 0.9}),
    "learner: ReCOIL-Q": lambda: small(("ReCOIL-Q",), KEYS, {"entropy": 0.1}),
}
