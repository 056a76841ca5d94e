"""A process that calls `keras_showattend.hub` as a user's program would.

`huggingface_hub` reads its settings once, when it is imported, so that each setting needs
a process of its own. Requests and answers are lines of JSON; see `hub_driver.HubClient`.
"""

import json
import sys
import time

from huggingface_hub import constants

_sleep = time.sleep


def limit_file_size(size):
    """Makes the disk look full: no file can grow beyond `size` bytes."""
    import resource  # not on every system

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


def caption(handle, image):
    """Loads all five classes by a handle, and describes an image given as nested lists."""
    import numpy as np

    import keras_showattend

    names = ("ShowAttendBackbone", "CaptionTokenizer", "CaptionImageConverter")
    for name in (*names, "ImageCaptionerPreprocessor"):
        getattr(keras_showattend, name).from_preset(handle)
    captioner = keras_showattend.ImageCaptioner.from_preset(handle)
    beams = captioner.generate(np.array(image, "uint8"), max_length=5, return_all_beams=True)
    return [beam.text for beam in beams]


def answer(request):
    from keras_showattend import hub

    try:
        name = request["call"]
        mine = {"limit_file_size": limit_file_size, "caption": caption}
        function = mine.get(name) or getattr(hub, name)
        value = function(*request["args"], **request["kwargs"])
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__]
        return {"kinds": kinds, "message": str(error)}
    modules = [name for name in ("keras", "tensorflow", "torch") if name in sys.modules]
    return {"value": value, "modules": modules}


def main():
    # Weights of 10 MB come in several pieces; let those of a test do so too.
    constants.DOWNLOAD_CHUNK_SIZE = 1000
    # The client waits seconds between its attempts, which a test need not.
    time.sleep = lambda seconds: _sleep(min(seconds, 0.01))
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
