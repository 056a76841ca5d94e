"""What the work talks to: a Hub and a Ray cluster, both on this machine."""

import contextlib
import ctypes

from hub_driver import read_folder
from hub_server import Fault, HubServer

ENVIRONMENT = {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "NO_PROXY": "127.0.0.1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
}
# Seconds that half of a file of the Hub waits for the other half.
PAUSE = 0.1


@contextlib.contextmanager
def hub(preset):
    """A Hub with a preset as `alice/tiny`, whose files arrive in two halves."""
    with HubServer() as server:
        server.add_repo("alice/tiny", read_folder(preset))
        server.faults.append(Fault(r"/cdn/|/resolve/", "GET", 10**9, pause=PAUSE))
        yield server.url


@contextlib.contextmanager
def ray_cluster():
    """Two nodes with a core each."""
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": 120_000_000}
    nodes = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    nodes.add_node(**options)
    try:
        yield nodes.address
    finally:
        nodes.shutdown()


def processes_named(word):
    """Process ids of those whose command holds a word, such as a Ray actor's class."""
    import psutil

    found = psutil.process_iter(["cmdline", "pid"])
    return [item.info["pid"] for item in found if word in " ".join(item.info["cmdline"] or ())]


def without_rights():
    """Takes from this process the administrator's right to write where modes forbid it."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    none = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, none):
        raise OSError(ctypes.get_errno(), "capset")
