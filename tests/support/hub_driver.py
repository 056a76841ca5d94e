"""Drives `hub_client.py`: a user's process with a cache and settings of its own."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


class ClientError(Exception):
    """An exception in the client; `kinds` are the names of its class and bases."""

    def __init__(self, kinds, message):
        super().__init__(message)
        self.kinds = kinds


class HubClient:
    """One process with a cache and settings of its own."""

    def __init__(self, url, home, **environment):
        self.home = pathlib.Path(home)
        settings = {
            "HF_ENDPOINT": url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
            **environment,
        }
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
        self.log = open(self.home / "client.log", "w", encoding="utf-8")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "hub_client.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**kept, **settings},
            text=True,
        )

    def start(self, call, *args, **kwargs):
        """Sends a request, whose answer `wait` gives."""
        request = {"call": call, "args": args, "kwargs": kwargs}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def wait(self):
        """The value of the last request, or its `ClientError`."""
        line = self.process.stdout.readline()
        if not line:
            log = (self.home / "client.log").read_text(encoding="utf-8")
            raise AssertionError(f"the client died:\n{log[-2000:]}")
        answer = json.loads(line)
        if "kinds" in answer:
            raise ClientError(answer["kinds"], answer["message"])
        self.modules = answer["modules"]
        return answer["value"]

    def __call__(self, call, *args, **kwargs):
        self.start(call, *args, **kwargs)
        return self.wait()

    def close(self):
        self.process.kill()
        self.process.wait(timeout=10)
        # What a killed client never read is still in the buffer, and cannot be flushed.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()


def read_folder(folder):
    """Dict from relative path to bytes."""
    folder = pathlib.Path(folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
