"""`CaptionerEnsemble` and `average_captioners`: several captioners that become one."""

import keras
import numpy as np
import pytest
from captioner_checks import all_beams, check_same_beams, picture, save_pictures, sharpen

from keras_showattend import (
    CaptionDataset,
    CaptionerEnsemble,
    ImageCaptioner,
    ImageError,
    average_captioners,
)
from keras_showattend.data import FeatureCache
from keras_showattend.search import caption_dataset

pytestmark = pytest.mark.slow

COUNT = 4
IMAGES = [picture(seed) for seed in range(COUNT)]


@pytest.fixture(scope="module")
def members(tiny_captioner):
    """Another decoder, other sizes, another encoder, other pixels."""
    small = sharpen(tiny_captioner(), seed=1)
    lstm = sharpen(tiny_captioner("lstm", hidden_dim=7, attention_dim=4), seed=2)
    scaled = sharpen(tiny_captioner(scale=(0.01, 0.004, 0.002), deep_output=False), seed=3)
    return [small, lstm, scaled]


@pytest.fixture(scope="module")
def ensemble(members):
    return CaptionerEnsemble(members, weights=[1, 2, 5])


def probabilities(captioner, image, text):
    """The captioner's probability of each word of a caption, and of its end, by itself."""
    preprocessor = captioner.preprocessor
    tokenizer = preprocessor.tokenizer
    tokens = [*tokenizer.tokenize(text), tokenizer.end_token_id][: preprocessor.sequence_length]
    read = np.array([[tokenizer.start_token_id, *tokens[:-1]]], "int32")
    images = preprocessor.convert_images([image])
    logits = keras.ops.convert_to_numpy(captioner({"images": images, "token_ids": read}))[0]
    every = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return every[np.arange(len(tokens)), tokens]


def test_a_caption_has_the_product_of_mean_probabilities(ensemble, members):
    shares = np.array([1, 2, 5]) / 8
    rows = ensemble.generate(IMAGES, num_beams=3, return_all_beams=True, capitalize=False)
    for image, row in zip(IMAGES, rows, strict=True):
        assert len(row) == 3
        for text, log_probability, *_ in row:
            each = [probabilities(member, image, text) for member in members]
            mean = sum(share * p for share, p in zip(shares, each, strict=True))
            assert log_probability == pytest.approx(np.log(mean).sum(), abs=1e-3)
            # The members alone would say something else.
            assert all(abs(np.log(p / mean).sum()) > 0.01 for p in each)


def test_making_one_leaves_the_cache_alone(members, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_SHOWATTEND_CACHE", str(tmp_path))
    member = members[0]
    cache = FeatureCache(member.backbone.image_encoder, member.preprocessor.image_converter)
    assert cache.directory.is_relative_to(tmp_path)
    cache.directory.mkdir(parents=True)
    # Whoever opens the cache removes it.
    broken = cache.directory / "broken.json"
    broken.write_text("no index")
    CaptionerEnsemble([member, member])
    assert broken.exists()


def test_one_member_is_that_captioner(members):
    for member in members:
        found = all_beams(CaptionerEnsemble([member]), IMAGES)
        check_same_beams(found, all_beams(member, IMAGES))


def test_equal_members_are_that_captioner(members):
    found = all_beams(CaptionerEnsemble([members[1]] * 3, weights=[1, 2, 3]), IMAGES)
    check_same_beams(found, all_beams(members[1], IMAGES))


def test_every_way_to_generate(ensemble, tmp_path):
    paths = save_pictures(tmp_path, COUNT)
    captions = ensemble.generate(paths)
    assert len(set(captions)) > 1
    assert ensemble.generate(paths[1]) == captions[1]
    assert ensemble.generate(np.stack(IMAGES), batch_size=3) == captions
    stream = list(ensemble.generate_stream([*paths[:2], b"no image", *paths[2:]]))
    assert isinstance(stream.pop(2), ImageError)
    assert [beams[0].text for beams in stream] == captions
    with pytest.raises(ValueError, match="`num_beams` must be a positive int"):
        ensemble.generate(paths, num_beams=0)


def test_features_are_kept_for_each_different_encoder(ensemble, members, tmp_path, monkeypatch):
    dataset = CaptionDataset.from_dict({"images": IMAGES, "captions": ["a dog"] * COUNT})
    expected = caption_dataset(ensemble, dataset, feature_cache=None)
    assert caption_dataset(ensemble, dataset, feature_cache=tmp_path, batch_size=3) == expected
    assert len(list(tmp_path.glob("*/*.npy"))) == 3
    # From now on nothing is decoded.
    converter = type(ensemble.preprocessor.image_converter)
    monkeypatch.setattr(converter, "load", lambda *_: pytest.fail("decoded again"))
    encoder = members[0].backbone.image_encoder
    cache = FeatureCache(encoder, members[0].preprocessor.image_converter, tmp_path)
    for again in (tmp_path, cache):
        assert caption_dataset(ensemble, dataset, feature_cache=again) == expected


def test_members_with_one_encoder_share_its_work(members, tmp_path):
    twin = ImageCaptioner.from_preset(saved(members[0], tmp_path))
    decoder = twin.backbone.decoder
    decoder.set_weights([0.9 * weight for weight in decoder.get_weights()])
    ensemble = CaptionerEnsemble([members[0], members[1], twin])
    annotations = ensemble.backbone.annotate({"images": np.stack(IMAGES) / np.float32(255)})
    assert annotations[0] is annotations[2]
    assert annotations[1] is not annotations[0]
    inputs = {"annotations": (annotations[0], annotations[1])}
    # The second time the search is XLA's on TensorFlow.
    for _ in range(2):
        check_same_beams(all_beams(ensemble, inputs), all_beams(ensemble, IMAGES))
    with pytest.raises(ValueError, match="one of each different encoder: 2 of them. Received: 1"):
        ensemble.backbone.annotate({"annotations": annotations[0]})


def saved(captioner, tmp_path):
    captioner.save_to_preset(tmp_path / "saved")
    return str(tmp_path / "saved")


def test_members_by_the_names_of_their_presets(members, tmp_path):
    found = all_beams(CaptionerEnsemble([saved(members[1], tmp_path), members[0]]), IMAGES)
    check_same_beams(found, all_beams(CaptionerEnsemble([members[1], members[0]]), IMAGES))


def test_evaluation(ensemble):
    dataset = {"images": IMAGES, "captions": ["a dog runs", "a cat", "grass", "a big dog"]}
    options = {"metrics": ["bleu_4", "cider"], "num_samples": 5, "num_beams": 2}
    result = ensemble.evaluate_captions(dataset, **options)
    captions = [row["caption"] for row in result["images"]]
    assert captions == ensemble.generate(IMAGES, num_beams=2)
    other = CaptionerEnsemble(ensemble_members(ensemble)[:2])
    digest = other.evaluate_captions(dataset, **options)["protocol"]["preset_digest"]
    assert digest != result["protocol"]["preset_digest"]


def ensemble_members(ensemble):
    return [ImageCaptioner(b, ensemble.preprocessor) for b in ensemble.backbone.members]


def test_sampling_draws_from_the_mean(members):
    ensemble = CaptionerEnsemble(members[:2])
    ensemble.compile(sampler="top_k")
    [[beam]] = ensemble.generate(IMAGES[:1], return_all_beams=True, capitalize=False)
    each = [probabilities(member, IMAGES[0], beam.text) for member in members[:2]]
    assert beam.log_probability == pytest.approx(np.log(sum(each) / 2).sum(), abs=1e-3)


def test_teacher_forcing_and_attention(ensemble, members):
    x, _, _ = ensemble.preprocessor({"images": IMAGES, "captions": ["a dog runs"] * COUNT})
    log_probabilities = keras.ops.convert_to_numpy(ensemble.backbone(x))
    np.testing.assert_allclose(np.exp(log_probabilities).sum(-1), 1, atol=1e-5)
    memory, states = ensemble.backbone.begin(x)
    first = keras.ops.full((COUNT,), 1, dtype="int32")
    logits, attention_weights, states = ensemble.backbone.step(first, states, memory)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(logits), log_probabilities[:, 0], atol=1e-5
    )
    assert tuple(attention_weights.shape) == (COUNT, 6)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(attention_weights).sum(-1), 1, atol=1e-5)
    assert len(states) == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("a", "dog", "cow"), r"13 and 7 tokens, which differ first at id 6.*cat.*cow"),
        (("a", "dog"), r"13 and 6 tokens, which differ first at id 6: \['cat'\] and \[\]"),
    ],
)
@pytest.mark.parametrize("join", [CaptionerEnsemble, average_captioners])
def test_vocabularies_must_agree(tiny_captioner, members, words, message, join):
    with pytest.raises(ValueError, match=f"the same vocabulary(?s:.*){message}"):
        join([members[0], tiny_captioner(words=words)])


@pytest.mark.parametrize("join", [CaptionerEnsemble, average_captioners])
@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -2], [1, float("nan")], [1, 2, 3]])
def test_weights_must_fit(members, weights, join):
    with pytest.raises(ValueError, match="one positive number for each captioner. Received: "):
        join([members[0], members[0]], weights=weights)


@pytest.mark.parametrize("join", [CaptionerEnsemble, average_captioners])
def test_members_are_needed(members, join):
    with pytest.raises(ValueError, match="At least one captioner is needed.*Received: 0"):
        join([])
    bare = ImageCaptioner(members[0].backbone)
    with pytest.raises(ValueError, match="Received: 1 captioners, 1 without"):
        join([bare])


def test_pictures_must_be_loaded_alike(tiny_captioner, members):
    other = tiny_captioner()
    config = {**other.preprocessor.image_converter.get_config(), "crop_to_aspect_ratio": True}
    other.preprocessor.image_converter = type(other.preprocessor.image_converter)(**config)
    with pytest.raises(ValueError, match=r"load images alike.*crop_to_aspect_ratio \(False and"):
        CaptionerEnsemble([members[0], other])


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="torch.compile needs a C++ compiler and a minute"
)
def test_compiled_is_the_same(ensemble, members):
    compiled = CaptionerEnsemble(members, weights=[1, 2, 5])
    compiled.compile(jit_compile=True)
    check_same_beams(all_beams(compiled, IMAGES), all_beams(ensemble, IMAGES))


def test_average_of_weights(tiny_captioner, tmp_path):
    first, second = (sharpen(tiny_captioner(dropout=rate), seed=4) for rate in (0.4, 0.2))
    shift = [np.full(weight.shape, 0.4, "float32") for weight in second.backbone.get_weights()]
    before = first.backbone.get_weights()
    second.backbone.set_weights([w + s for w, s in zip(before, shift, strict=True)])
    second.backbone.image_encoder.trainable = False
    average = average_captioners([first, saved(second, tmp_path)], weights=[3, 1])
    assert type(average) is ImageCaptioner
    triples = zip(before, average.backbone.get_weights(), first.backbone.get_weights(), strict=True)
    for old, mean, after in triples:
        np.testing.assert_allclose(mean, old + 0.1, atol=1e-6)
        np.testing.assert_array_equal(after, old)
    assert average.generate(IMAGES[0])
    same = average_captioners([first, first])
    check_same_beams(all_beams(same, IMAGES), all_beams(first, IMAGES))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_dim": 7}, r"differ in hidden_dim \(9 and 7\)"),
        ({"decoder": "lstm"}, r"differ in cell \(gru and lstm\)"),
        ({"context_gate": False}, r"differ in context_gate \(True and False\)"),
    ],
)
def test_architectures_must_agree(tiny_captioner, members, options, message):
    with pytest.raises(ValueError, match=message):
        average_captioners([members[0], tiny_captioner(**options)])


def test_encoders_must_agree(tiny_captioner, members):
    config = members[0].backbone.get_config()
    images = keras.Input((8, 12, 3))
    features = keras.layers.Conv2D(5, 4, strides=4, activation="relu")(images)
    config["image_encoder"] = keras.Model(images, features)
    config = {key: value for key, value in config.items() if key not in ("name", "dtype")}
    other = ImageCaptioner(type(members[0].backbone)(**config), members[0].preprocessor)
    with pytest.raises(ValueError, match="differ in image_encoder$"):
        average_captioners([members[0], other])
