"""What a notebook shows, in a real kernel."""

import base64
import io

import numpy as np
import pytest
from explain_fixtures import tiny_picture
from PIL import Image

from keras_showattend.explain import Explanation

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib", reason="the extra `plots` draws")


# A kernel's shutdown leaves sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_figures_and_explanations_are_drawn(tmp_path):
    weights = np.zeros((2, 3, 4), "float32")
    weights[:, 0, 1] = 1
    numbers = np.array([-0.5, -1.0], "float32")
    explanation = Explanation(
        tiny_picture(30, 40), (0, 0, 40, 30), "A dog", ["a", "dog"], numbers, -numbers, weights
    )
    names = ("image", "log_probabilities", "entropies", "attention_weights")
    np.savez(tmp_path / "parts.npz", **{name: getattr(explanation, name) for name in names})
    build = (
        "import numpy as np\n"
        "from keras_showattend.explain.explanation import Explanation\n"
        "parts = np.load('parts.npz')\n"
        "explanation = Explanation(window=(0, 0, 40, 30), caption='A dog', words=['a', 'dog'], "
        "**parts)\n"
    )
    inline = "%matplotlib inline\nexplanation.plot()"
    cells = [build, "explanation.plot()", "explanation", inline]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    # A kernel of this interpreter, whatever kernels the user has installed.
    client = nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [cell.outputs for cell in notebook.cells]
    # Once, also where a notebook draws the figures of pyplot by itself.
    for (figure,) in (outputs[1], outputs[3]):
        drawn = Image.open(io.BytesIO(base64.b64decode(figure["data"]["image/png"])))
        assert drawn.width > 300
        # More than a white page: the image's own colours are on it.
        assert len(drawn.convert("RGB").getcolors(1 << 20)) > 1000
    (shown,) = outputs[2]
    assert "Attention for the word dog: upper" in shown["data"]["text/html"]
