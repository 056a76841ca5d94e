"""The images that come with the package, for the demo and the browser page."""

import pathlib

EXAMPLE_IMAGES = sorted(pathlib.Path(__file__).with_name("example_images").glob("*.jpg"))
