"""Pushing to a local Hub with the real client: what is sent, what is not, and what comes back."""

import json
import pathlib
import re

import numpy as np
import pytest
from hub_driver import ClientError, read_folder

from keras_showattend.hub import HubError, push_to_hub
from keras_showattend.hub.pull import plain_repo_id
from keras_showattend.presets import bundled_presets
from keras_showattend.presets.files import damaged_files, write_digests

pytestmark = pytest.mark.slow

pytest_plugins = ["hub_fixtures"]

EVALUATION = {"scores": {"bleu_4": 0.2513, "cider": 0.61}, "dataset": {"name": "Flickr8k"}}
TOKEN = "hf_alice"
IMAGE = np.random.default_rng(0).integers(0, 256, (8, 12, 3)).astype("uint8")


@pytest.fixture(autouse=True)
def clean_hub(hub):
    hub.reset()
    yield
    hub.repos.clear()
    hub.reset()


@pytest.fixture
def push(client, preset):
    """`push_to_hub` of the preset folder, as alice."""

    def call(repo_id="alice/tiny", **options):
        return client("push_to_hub", str(preset), repo_id, **{"token": TOKEN, **options})

    return call


def commits(hub, repo_id="alice/tiny"):
    """Messages of the commits after the repository was made."""
    return [commit["message"] for commit in hub.repos[repo_id].commits[1:]]


def captions(captioner):
    """All captions of one image that the search ended with, and their scores."""
    beams = captioner.generate(IMAGE, max_length=5, return_all_beams=True)
    return [(beam.text, round(float(beam.log_probability), 4)) for beam in beams]


def test_round_trip_gives_identical_captions(push, client, hub, saved_captioner, tmp_path):
    from keras_showattend import ImageCaptioner

    url = push(evaluation=EVALUATION, message="First")
    assert url == f"{hub.url}/alice/tiny"
    assert commits(hub) == ["First"]
    expected = captions(saved_captioner[0])
    assert any(text for text, _ in expected)
    folders = [
        client("download_preset", "hf://alice/tiny", cache_dir=str(tmp_path / name))
        for name in ("first", "second")
    ]
    assert client.modules == [], "a push or a pull must not wait for a backend"
    assert folders[0] != folders[1]
    for folder in folders:
        assert damaged_files(folder) == []
        assert captions(ImageCaptioner.from_preset(folder)) == expected


def test_all_classes_load_by_handle(push, start_client, hub, saved_captioner):
    push()
    first = hub.repos["alice/tiny"].refs["main"]
    expected = [text for text, _ in captions(saved_captioner[0])]
    assert start_client()("caption", f"hf://alice/tiny@{first}", IMAGE.tolist()) == expected


@pytest.mark.parametrize("name", sorted(bundled_presets()))
def test_bundled_presets_make_the_round_trip(client, hub, name, tmp_path):
    from keras_showattend import ImageCaptioner

    client("push_to_hub", name, f"alice/{name}", token=TOKEN)
    folders = [
        client("download_preset", f"hf://alice/{name}", cache_dir=str(tmp_path / cache))
        for cache in ("first", "second")
    ]
    captions = {ImageCaptioner.from_preset(folder).generate(IMAGE) for folder in (name, *folders)}
    assert len(captions) == 1


def test_captioner_in_memory(saved_captioner):
    # Saving needs Keras, so this one runs here; a dry run needs no Hub.
    listing = push_to_hub(saved_captioner[0], "alice/tiny", dry_run=True, weights_dtype="float16")
    assert "model.weights.h5" in listing
    assert "library_name: keras-showattend" in listing


def test_everything_that_is_needed_and_nothing_else(push, hub, preset):
    (preset / "LICENSE").write_text("Apache-2.0")
    (preset / "notes-to-myself.txt").write_text("call mum")
    (preset / "train.py").write_text("print('hello')")
    push(evaluation=EVALUATION)
    files = hub.files("alice/tiny")
    local = read_folder(preset)
    del local["notes-to-myself.txt"], local["train.py"]
    assert {name: files[name] for name in local} == local
    assert set(files) - set(local) == {"README.md", "evaluation.json"}
    assert json.loads(files["evaluation.json"])["scores"] == EVALUATION["scores"]
    assert b"hf://alice/tiny" in files["README.md"]


def test_dry_run_sends_nothing(push, hub):
    listing = push(dry_run=True, evaluation=EVALUATION)
    assert re.search(r"To hf://alice/tiny@main: \d+ files, [\d.]+ kB", listing)
    assert re.search(r"model\.weights\.h5 +[\d.]+ kB", listing)
    assert "value: 0.2513" in listing
    assert hub.requests == []
    assert hub.repos == {}


def test_second_push_is_one_commit_and_removes_stale_weights(push, hub, preset):
    push()
    repo = hub.repos["alice/tiny"]
    tree = dict(repo.trees[repo.refs["main"]])
    tree["task.weights.h5"] = tree["plot.csv"] = tree["model.weights.h5"]
    repo.commit("main", tree, "by hand")
    (preset / "training.json").write_text("{}")
    push(message="Second")
    assert commits(hub)[2:] == ["Second"]
    files = hub.files("alice/tiny")
    assert "task.weights.h5" not in files
    assert {"plot.csv", "training.json"} <= set(files)


def test_unchanged_push_makes_no_commit(push, hub):
    assert push() == push()
    assert len(commits(hub)) == 1


def test_branch(push, hub):
    assert push(revision="half").endswith("/tree/half")
    assert "config.json" in hub.files("alice/tiny", "half")
    assert hub.files("alice/tiny") == {}


def test_visibility(push, hub):
    push(private=True)
    assert hub.repos["alice/tiny"].private
    push(private=True)
    with pytest.raises(ClientError, match="settings page"):
        push(private=False)
    push("alice/open")
    before = dict(hub.repos["alice/open"].refs)
    with pytest.raises(ClientError, match=r"private=True.*which is public"):
        push("alice/open", private=True)
    assert hub.repos["alice/open"].refs == before


def test_text_written_on_the_page_is_kept(push, hub):
    push(evaluation=EVALUATION)
    repo = hub.repos["alice/tiny"]
    card = hub.files("alice/tiny")["README.md"].decode()
    mine = f"{card[: card.index('---', 3) + 4]}# By hand\n\nMine.\n".encode()
    hub.add_repo("alice/tiny", {**hub.files("alice/tiny"), "README.md": mine})
    push(evaluation={"scores": {"bleu_4": 0.3}})
    card = hub.files("alice/tiny")["README.md"].decode()
    assert card.endswith("# By hand\n\nMine.\n")
    assert "value: 0.3" in card
    assert repo is not hub.repos["alice/tiny"]


@pytest.mark.parametrize(
    ("token", "repo_id", "advice"),
    [
        ("hf_wrong", "alice/tiny", "hf auth login"),
        ("hf_bob", "alice/tiny", "settings/tokens"),
        (False, "alice/tiny", "hf auth login"),
        (TOKEN, "tiny", "user/name"),
        (TOKEN, "alice/tiny@main", "user/name"),
        (TOKEN, "alice/..tiny", "must have the form"),
    ],
)
def test_who_may_push_where(push, hub, token, repo_id, advice):
    with pytest.raises(ClientError, match=advice) as caught:
        push(repo_id, token=token)
    assert "HubError" in caught.value.kinds
    assert str(token) not in str(caught.value)
    assert hub.repos == {}


@pytest.mark.parametrize(
    ("pattern", "method", "status"),
    [
        (r"/preupload/", "POST", 503),
        (r"/lfs/objects/batch", "POST", 429),
        (r"/lfs/\w{64}", "PUT", 500),
    ],
)
def test_passing_faults_are_survived(push, hub, pattern, method, status):
    hub.fault(pattern, method=method, status=status, times=2)
    push()
    assert len(commits(hub)) == 1


@pytest.mark.parametrize(
    ("pattern", "method", "status", "advice"),
    [
        (r"/lfs/\w{64}", "PUT", 503, "Try again later"),
        (r"/commit/", "POST", 409, "Another change"),
        (r"/commit/", "POST", 412, "Another change"),
        (r"/commit/", "POST", 500, "Try again later"),
    ],
)
def test_lasting_faults_change_nothing(push, hub, pattern, method, status, advice):
    push()
    before = dict(hub.repos["alice/tiny"].refs)
    hub.lfs.clear()
    hub.fault(pattern, method=method, status=status, times=30)
    with pytest.raises(ClientError, match=advice):
        push(evaluation=EVALUATION)
    assert hub.repos["alice/tiny"].refs == before


def leak(preset, name, text):
    """Puts `text` into a file of the preset; into JSON as one more value."""
    path = preset / name
    if name.endswith(".json"):
        value = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        text = json.dumps({**value, "note": text})
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", ["metadata.json", "README.md", "training.json"])
@pytest.mark.parametrize(
    "secret",
    [
        "/home/me/flickr8k/Images",
        str(pathlib.Path.home() / "photos"),
        "C:\\Users\\me\\photos",
        "~/photos",
        "hf_" + "abcdEFGH" * 4,
        "AKIA" + "ABCD1234" * 2,
    ],
)
def test_what_belongs_to_this_machine_is_not_sent(preset, name, secret):
    leak(preset, name, f"trained on {secret} yesterday")
    with pytest.raises(HubError, match=re.escape(name)) as caught:
        push_to_hub(preset, "alice/tiny", dry_run=True)
    assert "abcdEFGHabcd" not in str(caught.value)


def test_the_token_in_use_is_not_sent(push, hub, preset):
    leak(preset, "README.md", f"use {TOKEN}")
    with pytest.raises(ClientError, match="README"):
        push()
    assert hub.repos == {}


def test_addresses_are_no_paths(preset):
    leak(preset, "metadata.json", "from https://example.org/home/me and and/or ~ 5/6 photos")
    assert push_to_hub(preset, "alice/tiny", dry_run=True)


def test_optimizer_state_is_not_sent(preset):
    import h5py

    with h5py.File(preset / "model.weights.h5", "a") as file:
        file["optimizer/vars/0"] = 1.0
    write_digests(preset)
    with pytest.raises(HubError, match="optimizer"):
        push_to_hub(preset, "alice/tiny", dry_run=True)


def test_repositories_by_name_or_handle():
    assert plain_repo_id("alice/tiny") == plain_repo_id("hf://alice/tiny") == "alice/tiny"
    for wrong in ("tiny", "alice/", "hf://spaces/alice/tiny", "alice/tiny@main"):
        with pytest.raises(HubError, match=f"form 'user/name'.* Received: '{wrong}'"):
            plain_repo_id(wrong)


def test_bad_arguments(preset, tmp_path):
    with pytest.raises(ValueError, match="sent as it is"):
        push_to_hub(preset, "alice/tiny", weights_dtype="float16", dry_run=True)
    with pytest.raises(ValueError, match="known name"):
        push_to_hub(tmp_path / "nothing", "alice/tiny", dry_run=True)
    other = {**EVALUATION, "protocol": {"weights_digest": "0123abcd"}}
    with pytest.raises(ValueError, match="evaluated: evaluate this captioner.* the weights 0123a"):
        push_to_hub(preset, "alice/tiny", evaluation=other, dry_run=True)
    with pytest.raises(ValueError, match="`evaluation` must be"):
        push_to_hub(preset, "alice/tiny", evaluation=tmp_path / "no.json", dry_run=True)
