"""`FeatureCache`: annotations computed once, never stale, and whole after any interruption."""

import concurrent.futures
import io
import json
import shutil
import signal

import keras
import numpy as np
import pytest
from captioner_checks import picture, save_pictures
from layer_checks import numpy
from PIL import Image

from keras_showattend.data import FeatureCache, features
from keras_showattend.data.feature_shards import FeatureShards
from keras_showattend.data.features import default_cache_directory, open_cache
from keras_showattend.layers import ImageEncoder
from keras_showattend.preprocessing import CaptionImageConverter
from keras_showattend.preprocessing.images import ImageError, image_digest

L, D = 6, 5


@pytest.fixture(scope="module")
def encoder(tiny_network):
    keras.utils.set_random_seed(5)
    return ImageEncoder(tiny_network())


@pytest.fixture
def new_cache(encoder, tmp_path):
    """Opens a cache in this test's folder, with a converter that counts what it loads."""

    def open_cache(encoder=encoder, scale=1 / 255, directory=tmp_path / "cache", **options):
        converter = CaptionImageConverter((8, 12), scale=scale)
        cache = FeatureCache(encoder, converter, directory, **options)
        cache.loaded = []
        load = converter.load

        def counted(source):
            cache.loaded.append(source)
            return load(source)

        converter.load = counted
        return cache

    return open_cache


def compute(cache, images, **options):
    return cache.compute(images, progress=False, **options)


def encoded(encoder, pictures, scale=1 / 255):
    return numpy(encoder(np.stack(pictures).astype("float32") * scale))


def test_values_are_the_encoders_to_float16(new_cache, encoder):
    pictures = [picture(seed) for seed in range(4)]
    found = compute(new_cache(), pictures, batch_size=3)
    assert len(found) == 4
    annotations = found.gather([2, 0, 2])
    assert (annotations.shape, str(annotations.dtype)) == ((3, L, D), "float16")
    expected = encoded(encoder, [pictures[2], pictures[0], pictures[2]])
    # Half of the distance between two float16 numbers, relative, plus float32 noise.
    np.testing.assert_allclose(annotations, expected, rtol=2**-11, atol=1e-5)


def test_flipped_are_the_features_of_the_mirrored_image(new_cache, encoder):
    pictures = [picture(seed) for seed in range(3)]
    plain = compute(new_cache(), pictures)
    assert not plain.has_flipped
    cache = new_cache()
    found = compute(cache, pictures, flip=True)
    assert found.has_flipped
    assert len(cache.loaded) == 3
    annotations = found.gather([1, 1], [False, True])
    expected = encoded(encoder, [pictures[1], pictures[1][:, ::-1]])
    np.testing.assert_allclose(annotations, expected, rtol=2**-11, atol=1e-5)
    assert np.abs(annotations[0] - annotations[1]).max() > 0.1


def test_computed_once(new_cache, tmp_path):
    paths = save_pictures(tmp_path, 3)
    cache = new_cache()
    first = compute(cache, paths).gather([0, 1, 2])
    assert len(cache.loaded) == 3
    again = compute(cache, paths).gather([0, 1, 2])
    assert len(cache.loaded) == 3
    reopened = new_cache()
    other_order = compute(reopened, paths[::-1]).gather([2, 1, 0])
    assert reopened.loaded == []
    np.testing.assert_array_equal(again, first)
    np.testing.assert_array_equal(other_order, first)


def test_duplicates_are_computed_once(new_cache, tmp_path):
    paths = save_pictures(tmp_path, 2)
    copy = shutil.copy(paths[0], tmp_path / "copy.png")
    cache = new_cache()
    found = compute(cache, [paths[0], copy, paths[1], paths[0]])
    assert len(cache.loaded) == 2
    rows = found.gather([0, 1, 2, 3])
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[3])
    assert np.abs(rows[0] - rows[2]).max() > 0.1


def test_known_by_content(new_cache, tmp_path):
    paths = save_pictures(tmp_path, 2)
    compute(new_cache(), paths)
    moved = shutil.move(paths[0], tmp_path / "renamed.png")
    cache = new_cache()
    compute(cache, [moved, paths[1]])
    assert cache.loaded == []
    changed = picture(1)
    changed[3, 4, 1] ^= 1
    Image.fromarray(changed).save(paths[1])
    compute(cache, [moved, paths[1]])
    assert cache.loaded == [paths[1]]


def test_another_encoder_or_converter_computes_anew(new_cache, encoder, tiny_network):
    def loads(**options):
        cache = new_cache(**options)
        compute(cache, [picture(0)])
        return len(cache.loaded)

    assert loads() == 1
    assert loads() == 0
    keras.utils.set_random_seed(6)
    assert loads(encoder=ImageEncoder(tiny_network())) == 1
    assert loads(scale=1 / 127.5) == 1
    assert loads(dtype="mixed_bfloat16") == 1
    assert loads(dtype="mixed_bfloat16") == loads() == 0
    # The dtype of the encoder itself is no other dtype.
    assert loads(dtype="float32") == 0


def test_mixed_precision_is_close(new_cache, encoder):
    cache = new_cache(dtype="mixed_bfloat16")
    annotations = compute(cache, [picture(0)]).gather([0])
    assert cache.encoder.compute_dtype == "bfloat16"
    assert encoder.compute_dtype == "float32"
    np.testing.assert_allclose(annotations, encoded(encoder, [picture(0)]), atol=0.05)


class Killed(BaseException):
    """In place of a signal, which would end the tests as well."""


def test_goes_on_after_a_kill(new_cache, tmp_path, monkeypatch):
    monkeypatch.setattr(features, "SHARD_SIZE", 2)
    paths = save_pictures(tmp_path, 5)
    cache = new_cache()
    load = cache.image_converter.load

    def killed_at_the_fourth(source):
        if len(cache.loaded) == 3:
            raise Killed
        return load(source)

    cache.image_converter.load = killed_at_the_fourth
    with pytest.raises(Killed):
        compute(cache, paths)
    resumed = new_cache()
    found = compute(resumed, paths)
    # The first shard of two was whole.
    assert resumed.loaded == paths[2:]
    expected = compute(new_cache(directory=tmp_path / "other"), paths)
    np.testing.assert_array_equal(found.gather(range(5)), expected.gather(range(5)))


def test_killed_while_writing(new_cache, monkeypatch):
    cache = new_cache()

    def killed(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", killed)
        with pytest.raises(Killed):
            compute(cache, [picture(0)])
    assert list(cache.directory.iterdir()) == []
    resumed = new_cache()
    compute(resumed, [picture(0)])
    assert len(resumed.loaded) == 1


def the_files(cache):
    [array], [index] = cache.directory.glob("*.npy"), cache.directory.glob("*.json")
    return array, index


def truncate(cache):
    array, _ = the_files(cache)
    array.write_bytes(array.read_bytes()[:-40])


def empty_array(cache):
    the_files(cache)[0].write_bytes(b"")


def lose_array(cache):
    the_files(cache)[0].unlink()


def lose_index(cache):
    the_files(cache)[1].unlink()


def break_index(cache):
    the_files(cache)[1].write_text('["abc')


def shorten_index(cache):
    index = the_files(cache)[1]
    content = json.loads(index.read_text())
    index.write_text(json.dumps({name: values[:1] for name, values in content.items()}))


def number_as_index(cache):
    the_files(cache)[1].write_text("3")


def numbers_as_keys(cache):
    index = the_files(cache)[1]
    index.write_text(json.dumps({**json.loads(index.read_text()), "keys": [1, 2]}))


def other_shape(cache):
    array, _ = the_files(cache)
    np.save(array, np.load(array).reshape(2, D, L))


def other_type(cache):
    array, _ = the_files(cache)
    np.save(array, np.load(array).astype("float32"))


def no_digests(cache):
    index = the_files(cache)[1]
    index.write_text(json.dumps({"keys": json.loads(index.read_text())["keys"]}))


@pytest.mark.parametrize(
    "damage",
    [
        *(truncate, empty_array, lose_array, lose_index, break_index, shorten_index),
        *(number_as_index, numbers_as_keys, other_shape, other_type, no_digests),
    ],
)
def test_damaged_files_are_computed_again(new_cache, damage):
    pictures = [picture(0), picture(1)]
    cache = new_cache()
    expected = compute(cache, pictures).gather([0, 1])
    damage(cache)
    again = new_cache()
    np.testing.assert_array_equal(compute(again, pictures).gather([0, 1]), expected)
    assert len(again.loaded) == 2
    mended = new_cache()
    compute(mended, pictures)
    assert mended.loaded == []


def flip_a_byte(cache):
    array, _ = the_files(cache)
    content = bytearray(array.read_bytes())
    content[-7] ^= 64
    array.write_bytes(content)


def reverse_keys(cache):
    index = the_files(cache)[1]
    content = json.loads(index.read_text())
    index.write_text(json.dumps({**content, "keys": content["keys"][::-1]}))


def reverse_keys_and_digests(cache):
    index = the_files(cache)[1]
    content = json.loads(index.read_text())
    index.write_text(json.dumps({name: values[::-1] for name, values in content.items()}))


@pytest.mark.parametrize("damage", [flip_a_byte, reverse_keys, reverse_keys_and_digests])
def test_rows_that_fail_their_digest_are_computed_again(new_cache, damage):
    pictures = [picture(0), picture(1)]
    cache = new_cache()
    expected = compute(cache, pictures).gather([0, 1])
    damage(cache)
    again = new_cache()
    with pytest.warns(UserWarning, match="2 features were damaged on disk") as caught:
        found = compute(again, pictures).gather([0, 1])
    assert len(caught) == 1
    np.testing.assert_array_equal(found, expected)
    assert len(again.loaded) == 2
    mended = new_cache()
    np.testing.assert_array_equal(compute(mended, pictures).gather([0, 1]), expected)
    assert mended.loaded == []


def test_features_outlive_a_shard_that_is_found_damaged(new_cache):
    expected = compute(new_cache(), [picture(0), picture(1)]).gather([0, 1])
    cache = new_cache()
    first = compute(cache, [picture(0)])
    (path,) = cache.directory.glob("*.npy")
    with open(path, "rb+") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    with pytest.warns(UserWarning, match="2 features were damaged"):
        second = compute(cache, [picture(1)])
    np.testing.assert_array_equal(first.gather([0]), expected[:1])
    np.testing.assert_array_equal(second.gather([0]), expected[1:])


def write_as_before(cache, keys, features):
    """A shard of the time before digests: its index is the list of keys."""
    cache.directory.mkdir(parents=True)
    np.save(cache.directory / "0123.npy", features)
    (cache.directory / "0123.json").write_text(json.dumps(keys))


def test_an_old_cache_is_used_and_gets_digests(new_cache):
    features = np.full((1, L, D), 0.25, "float16")
    write_as_before(new_cache(), [image_digest(picture(3))], features)
    cache = new_cache()
    assert compute(cache, [picture(3)]).gather([0]).tolist() == features.tolist()
    assert cache.loaded == []
    flip_a_byte(cache)
    with pytest.warns(UserWarning, match="1 features were damaged"):
        compute(new_cache(), [picture(3)])


def test_an_old_cache_that_is_not_finite_is_computed_again(new_cache):
    features = np.full((1, L, D), np.inf, "float16")
    write_as_before(new_cache(), [image_digest(picture(3))], features)
    cache = new_cache()
    with pytest.warns(UserWarning, match="1 features were damaged"):
        found = compute(cache, [picture(3)]).gather([0])
    assert np.isfinite(found).all()
    assert len(cache.loaded) == 1


def test_two_threads_share_the_work(new_cache, monkeypatch):
    """Each image is encoded by one of them; locks hold between processes as well."""
    monkeypatch.setattr(features, "SHARD_SIZE", 3)
    pictures = [picture(seed) for seed in range(20)]
    caches = [new_cache(), new_cache()]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda cache: compute(cache, pictures), caches)
    assert sum(len(cache.loaded) for cache in caches) == 20
    np.testing.assert_array_equal(one.gather(range(20)), two.gather(range(20)))


def test_waits_for_what_another_process_computes(new_cache):
    first, second = new_cache(), new_cache()
    key = image_digest(picture(0))
    values = np.full((1, L, D), 0.5)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with first._claims.take([key], 256) as mine:
            assert mine == [key]
            running = pool.submit(compute, second, [picture(0)])
            first.write(mine, values)
        assert running.result().gather([0]).tolist() == values.tolist()
    assert second.loaded == []


def test_leftovers_of_a_kill_are_ignored(new_cache):
    cache = new_cache()
    compute(cache, [picture(0)])
    (cache.directory / ".0123.partial-4567.npy").write_bytes(b"half an array")
    (cache.directory / ".0123.partial-4567.json").write_bytes(b'{"keys": ["ab')
    again = new_cache()
    compute(again, [picture(0)])
    assert again.loaded == []


def test_two_caches_on_one_folder(new_cache):
    first, second = new_cache(), new_cache()
    expected = compute(first, [picture(0), picture(1)]).gather([0, 1])
    # Opened before the first wrote anything, the second takes what is there by now ...
    np.testing.assert_array_equal(
        compute(second, [picture(1), picture(2)]).gather([0]), expected[1:]
    )
    # ... and a third profits from both.
    third = new_cache()
    compute(third, [picture(seed) for seed in range(3)])
    assert third.loaded == []


def test_features_written_by_others_are_taken(new_cache):
    cache = new_cache()
    cache.write([image_digest(picture(3))], np.full((1, L, D), 0.25))
    assert compute(cache, [picture(3)]).gather([0]).tolist() == [[[0.25] * D] * L]
    assert cache.loaded == []


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_unreadable_image(new_cache, tmp_path, content):
    path = tmp_path / "bad.png"
    if content is not None:
        path.write_bytes(content)
    cache = new_cache()
    with pytest.raises(ImageError, match=r"Received: .*bad\.png"):
        compute(cache, [picture(0), str(path)])


def test_truncated_image(new_cache, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(picture(0, 64, 64)).save(buffer, "JPEG")
    path = tmp_path / "bad.jpg"
    path.write_bytes(buffer.getvalue()[:400])
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        compute(new_cache(), [str(path)])


def test_progress_on_stderr_only_where_wanted(new_cache, capfd):
    compute(new_cache(), [picture(0)])
    assert capfd.readouterr() == ("", "")
    new_cache().compute([picture(1)])
    out, err = capfd.readouterr()
    assert out == ""
    assert "Encoding images: 100%" in err


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_SHOWATTEND_CACHE", str(tmp_path))
    assert default_cache_directory() == tmp_path / "features"
    monkeypatch.delenv("KERAS_SHOWATTEND_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_directory() == tmp_path / ".cache" / "keras_showattend" / "features"


def test_features_with_rows_and_columns(new_cache, encoder):
    pictures = [picture(seed) for seed in range(3)]
    flat = new_cache()
    assert compute(flat, pictures).input_name == "annotations"
    spatial = new_cache(spatial=True)
    found = compute(spatial, pictures)
    assert found.input_name == "frozen_features"
    assert found.grid_shape == (2, 3)
    expected = compute(flat, pictures).gather([2, 0]).reshape(2, 2, 3, D)
    np.testing.assert_array_equal(found.gather([2, 0]), expected)
    # One computation serves both.
    assert spatial.loaded == []


def test_a_cache_of_other_layers_is_refused(tiny_captioner, tmp_path):
    captioner = tiny_captioner()
    encoder = captioner.backbone.image_encoder
    encoder.trainable = False
    cache = captioner.feature_cache(tmp_path)
    assert open_cache(captioner, cache) is cache
    assert open_cache(captioner, None) is None
    in_bfloat16 = captioner.feature_cache(tmp_path, dtype="mixed_bfloat16")
    assert open_cache(captioner, in_bfloat16) is in_bfloat16
    assert in_bfloat16.encoder_key != in_bfloat16.source_key == cache.encoder_key
    other = tiny_captioner(scale=1 / 128)
    other.backbone.image_encoder.trainable = False
    other.backbone.set_weights(captioner.backbone.get_weights())
    kernel = encoder.features.layers[1].kernel
    kernel.assign(2 * kernel)
    with pytest.raises(ValueError, match="weights that they have now.* of another encoder"):
        open_cache(captioner, cache)
    kernel.assign(kernel / 2)
    with pytest.raises(ValueError, match="own encoder and image converter"):
        open_cache(other, cache)
    encoder.unfreeze(after=encoder.features.layers[0].name)
    with pytest.raises(ValueError, match="must end with the last layer.* Received: a cache of 'pa"):
        open_cache(captioner, cache)
    encoder.unfreeze()
    assert open_cache(captioner, tmp_path) is None
    with pytest.raises(ValueError, match="Only frozen layers can be cached"):
        captioner.feature_cache(tmp_path)


def test_a_full_disk_leaves_no_half_shard(tmp_path):
    resource = pytest.importorskip("resource", reason="limits of Unix stand for a full disk")
    shards = FeatureShards(tmp_path, (6, 5))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
        with pytest.raises(OSError, match="File too large"):
            shards.write(["a"], np.ones((1, 6, 5)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []
    shards.write(["a"], np.ones((1, 6, 5)))
    assert FeatureShards(tmp_path, (6, 5)).rows.keys() == {"a"}
