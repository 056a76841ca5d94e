"""The server of docs/serving.md in a process of its own, asked by several clients at once."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from explain_fixtures import make_tiny_captioner, tiny_picture
from PIL import Image

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[1]
SERVER = ROOT / "examples" / "serve.py"
RAY_SERVER = ROOT / "examples" / "serve_ray.py"
# Runs it on a cluster of this process, and asks it from several clients at once.
RAY_CLIENTS = """
import json, pathlib, sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
import ray
from ray import serve
import serve_ray

port, answers, *paths = sys.argv[1:]
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
serve.start(http_options={"port": int(port)})
serve.run(serve_ray.app)

def ask(path):
    content = pathlib.Path(path).read_bytes()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}", content, timeout=120) as answer:
        return json.load(answer)["caption"]

with ThreadPoolExecutor(len(paths)) as clients:
    pathlib.Path(answers).write_text(json.dumps(list(clients.map(ask, paths))))
serve.shutdown()
ray.shutdown()
"""


@pytest.mark.parametrize(("file", "language"), [(SERVER, "python"), (RAY_SERVER, "py")])
def test_the_page_shows_the_file(file, language):
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    code = file.read_text(encoding="utf-8").partition("\n\n")[2]
    assert f"```{language}\n{code}```" in page
    assert len(code.splitlines()) <= 25


@pytest.fixture(scope="module")
def captioner():
    return make_tiny_captioner()


@pytest.fixture(scope="module")
def server(captioner, tmp_path_factory):
    """Address of the example, which serves a tiny captioner."""
    for name in ("fastapi", "uvicorn", "python_multipart"):
        pytest.importorskip(name, reason="the extra `demo` brings it")
    folder = tmp_path_factory.mktemp("serving")
    captioner.save_to_preset(folder / "tiny")
    code = SERVER.read_text(encoding="utf-8")
    assert code.count('"vgg16_gru_flickr8k"') == 1
    (folder / "serve.py").write_text(code.replace("vgg16_gru_flickr8k", str(folder / "tiny")))
    port = free_port()
    log = open(folder / "log", "w")  # noqa: SIM115
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "serve:app", "--port", str(port)],
        cwd=folder,
        stdout=log,
        stderr=log,
    )
    url = f"http://127.0.0.1:{port}"
    while not is_up(url):
        assert process.poll() is None, (folder / "log").read_text()
        time.sleep(0.2)
    yield url
    process.terminate()
    process.wait(timeout=20)
    log.close()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def is_up(url):
    try:
        with urllib.request.urlopen(f"{url}/openapi.json", timeout=5):
            return True
    except urllib.error.URLError:
        return False


def post(url, content):
    """Sends an image as a form does; returns status and answer."""
    head = b'--edge\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    request = urllib.request.Request(
        url,
        head + content + b"\r\n--edge--\r\n",
        {"Content-Type": "multipart/form-data; boundary=edge"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_clients_get_what_generate_gives(server, captioner, tmp_path):
    paths = [tmp_path / f"{seed}.png" for seed in range(4)]
    for seed, path in enumerate(paths):
        Image.fromarray(tiny_picture(40 + seed, 50, seed)).save(path)
    url = f"{server}/caption?num_beams=3"
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda path: post(url, path.read_bytes()), paths * 3))
    for path, (status, answer) in zip(paths * 3, answers, strict=True):
        beams = captioner.generate(path, num_beams=3, return_all_beams=True)
        assert status == 200
        assert [answer["caption"], *answer["others"]] == [beam.text for beam in beams]


def test_what_is_wrong_is_said(server):
    status, answer = post(f"{server}/caption", b"%PDF-1.7")
    assert status == 422
    assert "A PDF is a document" in answer["detail"]
    status, answer = post(f"{server}/caption?num_beams=1000", b"")
    assert status == 422
    assert "less than or equal to 10" in answer["detail"][0]["msg"]


def test_ray_serve_captions_requests_together(captioner, tmp_path):
    reason = "NOT TESTED: examples/serve_ray.py needs `pip install 'ray[serve]'`"
    pytest.importorskip("ray.serve", reason=reason)
    captioner.save_to_preset(tmp_path / "tiny")
    code = RAY_SERVER.read_text(encoding="utf-8")
    assert code.count('"vgg16_gru_flickr8k"') == 1
    (tmp_path / "serve_ray.py").write_text(
        code.replace("vgg16_gru_flickr8k", str(tmp_path / "tiny"))
    )
    paths = [tmp_path / f"{seed}.png" for seed in range(5)]
    for seed, path in enumerate(paths):
        Image.fromarray(tiny_picture(40 + seed, 50, seed)).save(path)
    paths[3].write_text("no image")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", RAY_CLIENTS, str(free_port()), tmp_path / "answers.json", *paths],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert answers == captioner.generate(paths, on_error="skip")
    assert answers[3] is None
