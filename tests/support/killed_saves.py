"""Saves a preset over another one again and again, killed at each file operation in turn.

    python killed_saves.py OLD NEW SCRATCH

OLD and NEW are preset folders. Prints a JSON list with what was found after each kill, as "old",
"new" or what else, and a last item for the save that nobody interrupted. No Keras is imported,
so that a save begins at once.
"""

import json
import os
import pathlib
import shutil
import signal
import sys

from keras_showattend.presets import resolve_preset
from keras_showattend.presets.exchange import exchanged_files
from keras_showattend.presets.files import LOADED_FILES, RECORD_FILES, write_digests

# How often the save after a kill is tried, too; saving waits for the disk.
EVERY = 7
OPERATIONS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def save(source, destination):
    """What `save_preset` does, with files in place of a captioner."""
    remove, set_aside = LOADED_FILES, RECORD_FILES
    with exchanged_files(destination, remove=remove, set_aside=set_aside) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        write_digests(folder)


def killed_save(source, destination, moment):
    """Whether a process that saves reaches its `moment`-th file operation, and dies there."""
    pid = os.fork()
    if pid == 0:
        left = moment

        def hook(event, args):
            nonlocal left
            if event in OPERATIONS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        save(source, destination)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def main():
    old, new, scratch = map(pathlib.Path, sys.argv[1:])
    known = {"old": contents(old), "new": contents(new)}
    found, moment = [], 0
    while True:
        moment += 1
        destination = scratch / str(moment)
        shutil.copytree(old, destination)
        (destination / "LICENSE").write_text("mine")
        was_killed = killed_save(new, destination, moment)
        resolve_preset(destination)
        now = contents(destination)
        mine = now.pop("LICENSE", None)
        hidden = []
        now = {name: data for name, data in now.items() if not name.startswith(".")}
        now.pop("evaluation.previous.json", None)
        state = next((key for key, value in known.items() if value == now), f"mixed: {list(now)}")
        if mine != b"mine":
            state = "a file of the user's is lost"
        if moment % EVERY == 0 or not was_killed:
            # The next save clears up.
            save(old, destination)
            hidden = [name for name in contents(destination) if name.startswith(".")]
            hidden += [path.name for path in destination.iterdir() if path.name.startswith(".")]
        found.append(f"{state}, {hidden} left" if hidden else state)
        if not was_killed:
            break
        shutil.rmtree(destination)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
