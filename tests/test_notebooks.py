"""The notebooks in examples/ run from top to bottom, with small settings and a tiny preset."""

import pathlib

import pytest

nbclient = pytest.importorskip("nbclient", reason="the extra `dev` runs notebooks")
nbformat = pytest.importorskip("nbformat", reason="the extra `dev` runs notebooks")

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "examples").glob("*.ipynb"))
SMALL = {"NUM_IMAGES": 12, "EPOCHS": 1}
# In place of the installation. Small networks take longer to trace than to run.
PREPARE = """\
%reset -f
%cd -q {folder}
%matplotlib inline
import keras
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
    tf.config.run_functions_eagerly(True)
"""
SHAPES = ("beside", "circle", "square", "triangle", "red", "green", "blue", "yellow", "a")


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_form(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # Colab has no copy of this package.
    assert code[0].source == '%pip install --quiet "keras-showattend[plots]"'
    assert tagged(notebook, "install") == code[:1]
    assert tagged(notebook, "parameters") == code[1:2]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


# A kernel's shutdown leaves sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_notebooks_run(tiny_captioner, tmp_path):
    """One kernel runs all, since most of the time goes into starting one and importing Keras."""
    tiny_captioner(words=SHAPES, sequence_length=12).save_to_preset(tmp_path / "tiny")
    client = nbclient.NotebookClient(
        nbformat.v4.new_notebook(), timeout=600, kernel_name="python3", allow_errors=False
    )
    assert len(NOTEBOOKS) == 4
    with client.setup_kernel(cwd=str(tmp_path)):
        for path in NOTEBOOKS:
            notebook = nbformat.read(path, as_version=4)
            (parameters,) = tagged(notebook, "parameters")
            parameters.source += f"\nPRESET = {str(tmp_path / 'tiny')!r}\n"
            parameters.source += "\n".join(f"{name} = {value}" for name, value in SMALL.items())
            folder = tmp_path / path.stem
            folder.mkdir()
            (install,) = tagged(notebook, "install")
            install.source = PREPARE.format(folder=folder)
            client.nb = notebook
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    client.execute_cell(cell, index)
    assert (tmp_path / "your_own_images" / "my_captioner" / "config.json").is_file()
