"""Small files that the tests of datasets read."""

from PIL import Image


def write(path, content):
    """Writes text in UTF-8, or bytes; makes the folder; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def save_images(folder, *names):
    """Writes images of 4 x 5 pixels."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5, 4), "red").save(path)
