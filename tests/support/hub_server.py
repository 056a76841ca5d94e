"""A Hugging Face Hub on 127.0.0.1 that the real `huggingface_hub` client can talk to.

It keeps repositories in memory and can be told to misbehave: see `HubServer.fault`.
"""

import dataclasses
import http.server
import re
import threading

from hub_protocol import Handler
from hub_repository import Blob, Repo, is_lfs


@dataclasses.dataclass
class Fault:
    pattern: str
    method: str
    times: int
    status: int = 0
    headers: dict = dataclasses.field(default_factory=dict)
    cut_after: int | None = None
    corrupt: bool = False
    pause: float = 0


class HubServer:
    """Use as a context manager; `url` is what `HF_ENDPOINT` must be.

    Attributes:
        repos: dict from `"user/name"` to `Repo`.
        tokens: dict from token to user name.
        requests: list of `(method, path, status)`, in the order of their answers.
    """

    handler = Handler

    def __init__(self):
        self.repos, self.lfs, self.requests, self.faults = {}, {}, [], []
        self.tokens = {"hf_alice": "alice", "hf_bob": "bob"}
        self.lock = threading.Lock()

    def __enter__(self):
        self.listeners = [self._listen(), self._listen()]
        # Large files lie on another host, to which the client must send no token.
        self.url, self.cdn_url = (
            f"http://127.0.0.1:{listener.server_address[1]}" for listener in self.listeners
        )
        return self

    def _listen(self):
        handler = type("BoundHandler", (self.handler,), {"hub": self})
        listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        listener.daemon_threads = True
        poll = {"poll_interval": 0.02}
        threading.Thread(target=listener.serve_forever, kwargs=poll, daemon=True).start()
        return listener

    def __exit__(self, *error):
        for listener in self.listeners:
            listener.shutdown()
            listener.server_close()

    def fault(self, pattern, method="GET", *, times=1, **options):
        """Spoils the next `times` requests whose path matches `pattern`.

        `status` (with `headers`) answers that instead; `cut_after` closes the connection
        after so many bytes of the body; `corrupt` flips a byte of the body.
        """
        self.faults.append(Fault(pattern, method, times, **options))

    def slow_down(self, pattern, seconds):
        """Lets the next body at `pattern` come in two halves, with a pause between."""
        self.faults.append(Fault(pattern, "GET", 1, pause=seconds))

    def take_fault(self, method, path):
        with self.lock:
            for fault in self.faults:
                if fault.times and method == fault.method and re.search(fault.pattern, path):
                    fault.times -= 1
                    return fault
        return None

    def reset(self):
        """Forgets faults and the log; repositories stay."""
        with self.lock:
            self.faults.clear()
            self.requests.clear()

    def add_repo(self, repo_id, files, *, private=False, gated=False):
        """A repository with one commit of `files`, a dict from path to bytes."""
        repo = self.repos[repo_id] = Repo(private=private, gated=gated)
        blobs = {path: Blob(data, is_lfs(path, len(data))) for path, data in files.items()}
        repo.commit("main", blobs, "initial")
        return repo

    def files(self, repo_id, revision="main"):
        """Dict from path to bytes."""
        repo = self.repos[repo_id]
        return {path: blob.data for path, blob in repo.trees[repo.sha(revision)].items()}
