"""The demo: an image goes in; its caption, words over heat maps and other captions come out."""

from __future__ import annotations

import importlib.util
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from keras_showattend._examples import EXAMPLE_IMAGES
from keras_showattend._install import install_advice
from keras_showattend._typing import PathLike
from keras_showattend.preprocessing.images import ImageError

MAX_BEAMS = 10
# What visitors send while a batch is captioned waits, and is captioned together.
MAX_BATCH_SIZE = 8
MAX_FILE_SIZE = "20mb"
# After this the images of visitors are deleted.
KEEP_SECONDS = 3600
TITLE = "Captions, and where each word looked"
# The limits of the captioner, where the caption is read.
ADVICE = (
    "Captions are guesses in the words of the training data. Check them before you use one as "
    "alt text."
)


def check_gradio() -> None:
    """Raises `ModuleNotFoundError`, which says how to install Gradio, where it is missing."""
    if importlib.util.find_spec("gradio") is None:
        raise ModuleNotFoundError(
            f"The demo is made with Gradio. Install it: {install_advice('demo')}. "
            "Received: no module named 'gradio'"
        )


def create_demo(captioners: Mapping[str, Any]) -> Any:
    """Builds the demo, without starting a server.

    Images that visitors send at the same time are captioned together.

    Args:
        captioners: dict from the name that visitors see to an `ImageCaptioner`. The first
            one is chosen at first.

    Returns:
        `gradio.Blocks`; see `launch_demo` for how it is launched.

    Raises:
        ModuleNotFoundError: if Gradio is not installed; says how to install it.
        ValueError: without a captioner.
    """
    check_gradio()
    if not captioners:
        raise ValueError(f"The demo needs a captioner or more. Received: {captioners=}")
    import gradio

    def answer(
        paths: Sequence[str | None], beams: Sequence[int], names: Sequence[str]
    ) -> list[list[str]]:
        found = caption_batch(captioners, paths, beams, names)
        return [list(column) for column in zip(*found, strict=True)]

    names = list(captioners)
    with gradio.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(KEEP_SECONDS, KEEP_SECONDS)
    ) as demo:
        gradio.Markdown(f"# {TITLE}\n\n{ADVICE}")
        with gradio.Row():
            with gradio.Column(scale=2, min_width=300):
                image: Any = gradio.Image(
                    label="Image", sources=["upload", "webcam", "clipboard"], height=320
                )
                # The file comes as it was sent, so that this package reads it.
                image.preprocess = _path_of
                with gradio.Accordion("Search", open=len(names) > 1):
                    num_beams = gradio.Slider(
                        1, MAX_BEAMS, value=5, step=1, label="Beams (1 is greedy search)"
                    )
                    preset = gradio.Dropdown(
                        names, value=names[0], label="Preset", visible=len(names) > 1
                    )
                gradio.Examples([[str(path)] for path in EXAMPLE_IMAGES], [image])
            with gradio.Column(scale=3, min_width=300):
                caption = gradio.Textbox(
                    label="Caption", buttons=["copy"], interactive=False, lines=2
                )
                explanation = gradio.HTML(label="Where each word looked", padding=False)
        gradio.on(
            [image.change, num_beams.release, preset.change],
            answer,
            [image, num_beams, preset],
            [caption, explanation],
            batch=True,
            max_batch_size=MAX_BATCH_SIZE,
            trigger_mode="always_last",
            api_name="caption",
        )
    return demo


def _path_of(upload: Any) -> str | None:
    return None if upload is None else upload.path


def caption_batch(
    captioners: Mapping[str, Any],
    paths: Sequence[str | None],
    num_beams: Sequence[int],
    names: Sequence[str],
) -> list[tuple[str, str]]:
    """Captions the images of several visitors, those with the same settings together.

    Args:
        captioners: dict from name to `ImageCaptioner`.
        paths: for each visitor the path of an image file, or None for no image.
        num_beams: for each visitor the beams of the search.
        names: for each visitor the name of the captioner.

    Returns:
        For each visitor the caption and HTML that explains it; of an image that cannot be
        read an empty caption and the reason.
    """
    answers = [("", "")] * len(paths)
    batches: dict[tuple[str, int], dict[int, bytes]] = {}
    for index, (path, beams, name) in enumerate(zip(paths, num_beams, names, strict=True)):
        if path is None:
            continue
        # Errors describe bytes by their number, where a path would tell of the server.
        content = pathlib.Path(path).read_bytes()
        try:
            captioners[name].preprocessor.image_converter.load(content)
        except ImageError as error:
            answers[index] = ("", Markup('<p role="alert">{}</p>').format(str(error)))
        else:
            batches.setdefault((name, int(beams)), {})[index] = content
    for (name, beams), batch in batches.items():
        explanations = captioners[name].explain([*batch.values()], num_beams=beams)
        for index, found in zip(batch, explanations, strict=True):
            answers[index] = (found.caption, found._repr_html_())
    return answers


def launch_demo(
    presets: Mapping[str, PathLike],
    *,
    host: str | None = None,
    port: int | None = None,
    open_browser: bool = False,
) -> Any:
    """Loads captioners and serves the demo in threads of this process.

    Nothing is sent to other hosts: no statistics, no fonts, no public link.

    Args:
        presets: dict from the name that visitors see to what `ImageCaptioner.from_preset` takes.
        host: address to listen on. None is `$GRADIO_SERVER_NAME` or 127.0.0.1, which only this
            machine reaches; `"0.0.0.0"` is every address.
        port: None is `$GRADIO_SERVER_PORT` or the first free one from 7860.
        open_browser: bool. Whether a browser is opened.

    Returns:
        `gradio.Blocks`: `local_url` is the page's address, `block_thread()` waits until it is
        interrupted, and `close()` ends the server.

    Raises:
        ModuleNotFoundError: if Gradio is not installed; says how to install it.
        OSError: if the port is taken.
        ValueError: for an unknown preset.
    """
    check_gradio()
    import gradio

    from keras_showattend.models import ImageCaptioner

    captioners = {name: ImageCaptioner.from_preset(preset) for name, preset in presets.items()}
    demo = create_demo(captioners)
    # The usual theme asks a server of Google's for its fonts.
    theme = gradio.themes.Default(
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    demo.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser,
        share=False,
        quiet=True,
        footer_links=[],
        theme=theme,
        max_file_size=MAX_FILE_SIZE,
        ssr_mode=False,
        prevent_thread_lock=True,
    )
    return demo
