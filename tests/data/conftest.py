"""The published recordings, where `JAXRL_DATA` names a folder with them."""

import pytest

from jaxrl.data import safe

# sha256, as published with the files
DIGESTS = {
    "dapg_door_human.npz": "5417d6bb8abe8310dbd293a4d9f44482047b6f42b57bfa0669c5156f7b18b39b",
    "hcai_cartpole_expert.npz": "fbaa1ae6c9858480608a9636087cad5e6ea31907398b62f7691b634e4aa6ba1f",
    "hcai_pendulum_expert.npz": "cd15647301e9f8554cc4a04e0264a4d1d7bdeee12ceb838b9e5906042256e698",
    "opolo_hopper_expert10.npz": "18e825b97464951fa4673b444fd581dda7cf16af1551b867da4dca734c74a4a6",
    "trpo_Acrobot-v0.h5": "4046020628115087cce823bdf7079af7cb9938be82f72600ca17d1d7b039756d",
    "trpo_CartPole-v0.h5": "24060a4eba8f31d9bc14d4912d955945c051084863e2fa3a1491a16278f232aa",
    "trpo_Hopper-v1.h5": "4777c90d701cbc841c0cff5598cd86bbb6a3f4a9f8f22530230ff46ee22d0029",
    "trpo_MountainCar-v0.h5": "c6fd47a2455e23b45d7b395aa3dc213b9e741a181320288db99a1bb188c40a2f",
}


@pytest.fixture(scope="module")
def real(data_folder):
    """`real(name)`: path of a published file whose content is the known one."""

    def path(name):
        if not (data_folder / name).is_file():
            pytest.skip(f"real data: {name} is not in $JAXRL_DATA")
        safe.verify(data_folder / name, DIGESTS[name])
        return data_folder / name

    return path
