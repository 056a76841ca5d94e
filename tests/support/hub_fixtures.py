"""Fixtures of a local Hub, of clients, and of a tiny preset; a plugin of the hub tests."""

import pathlib
import shutil
import warnings

import pytest
from hub_driver import HubClient
from hub_server import HubServer


@pytest.fixture(scope="session")
def hub():
    """A local Hub with the users alice (token hf_alice) and bob (hf_bob)."""
    with HubServer() as server:
        yield server


@pytest.fixture(scope="session")
def start_client(hub, tmp_path_factory):
    """Function that starts a `HubClient` with an empty cache."""
    clients = []

    def start(url=None, home=None, **environment):
        home = home or tmp_path_factory.mktemp("hf_home")
        clients.append(HubClient(url or hub.url, home, **environment))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture(scope="session")
def client(start_client):
    """A client without a token. Starting one takes a second; give it another `cache_dir`."""
    return start_client()


@pytest.fixture(scope="session")
def offline_client(start_client):
    """A client that may not use the network."""
    return start_client(HF_HUB_OFFLINE="1")


@pytest.fixture(scope="session")
def saved_captioner(tiny_captioner, tmp_path_factory):
    """A captioner and the folder it was saved to."""
    import keras

    from keras_showattend.presets import Provenance

    # The same words at every run, whichever test asks first.
    keras.utils.set_random_seed(7)
    captioner = tiny_captioner()
    captioner.provenance = Provenance(license="Apache-2.0")
    folder = tmp_path_factory.mktemp("preset") / "tiny"
    with warnings.catch_warnings():
        # Keras on TensorFlow copies variables in a way that numpy 2 will not take one day.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        captioner.save_to_preset(str(folder))
    return captioner, folder


@pytest.fixture
def preset(saved_captioner, tmp_path):
    """A copy of the tiny preset's folder that a test may spoil."""
    return pathlib.Path(shutil.copytree(saved_captioner[1], tmp_path / "preset"))
