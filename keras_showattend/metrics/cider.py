"""CIDEr and CIDEr-D with cached reference statistics (Vedantam et al. 2015)."""

import math
import warnings
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from keras_showattend.metrics._inputs import check_references
from keras_showattend.metrics.ngrams import count_ngrams
from keras_showattend.metrics.tokenizer import tokenize

MAX_ORDER = 4


class CiderD:
    """Scores captions against references whose statistics are computed once.

    Self-critical training scores new samples against the same references at every step;
    `score_captions` uses it as well.

    Args:
        references: dict of image id to a list of references. A reference is a str, which is
            tokenized by coco-caption's rules, or a list of tokens (words or integer ids), used as
            it is. Word frequencies are counted over all these images.
        sigma: float. Width of the length penalty in words. Defaults to 6.0, the paper's.
        end_token: a token appended to each reference, or None. Complete captions must then end
            with it, so that an unfinished caption scores less. Defaults to None, which gives
            coco-caption's numbers.
        clip: bool. True, the default, is CIDEr-D. False is the paper's plain CIDEr: no clipping of
            repeated words and no length penalty, so that repetition is rewarded.

    Raises:
        TypeError: if `references` is not a dict of lists.
        ValueError: if it is empty or an image has no references.

    Source: Vedantam et al. 2015 (arXiv 1411.5726), equations 1-3 for CIDEr and section 7 for
    CIDEr-D, without the stemming, as in coco-caption, whose "CIDEr" is CIDEr-D.
    """

    def __init__(
        self,
        references: Mapping[Hashable, Sequence[str] | Sequence[Sequence[Hashable]]],
        sigma: float = 6.0,
        end_token: Hashable | None = None,
        clip: bool = True,
    ):
        if not isinstance(references, Mapping):
            raise TypeError(
                "`references` must be a dict of image id to a list of references. Pass one such "
                f"as {{'photo.jpg': ['...']}}. Received: {type(references).__name__}"
            )
        if not references:
            raise ValueError(
                "CIDEr weighs words by how many images use them, so it needs references. Pass "
                "those of at least two images. Received: an empty dict"
            )
        check_references(references)
        if len(references) == 1:
            warnings.warn(
                "CIDEr of a single image is always 0: a word's weight is the logarithm of the "
                "number of images over the number of images using it, and log(1 / 1) = 0. Score "
                "more images together. Received: references for 1 image "
                f"{next(iter(references))!r}",
                UserWarning,
                stacklevel=2,
            )
        self.sigma = float(sigma)
        self.end_token = end_token
        self.clip = clip
        self._log_images = math.log(len(references))
        self._squared_idf: dict[tuple, float] = {}
        self._images: dict[Hashable, _Image] = {}
        self._prepare(references)

    def score(
        self, image_ids: Sequence[Hashable], captions: Sequence[str] | Sequence[Sequence[Hashable]]
    ) -> np.ndarray:
        """Scores captions, one at a time, against the references of their images.

        Args:
            image_ids: ids of the images, length N; an id may occur several times.
            captions: N captions, each a str or a list of tokens.

        Returns:
            float32[N], 0 or more, and 0 for an empty caption. Papers print 0.5 as "CIDEr 50".

        Raises:
            TypeError: if `captions` or `image_ids` is a single str.
            ValueError: if the lengths differ or an image id has no references.
        """
        for name, value in (("image_ids", image_ids), ("captions", captions)):
            if isinstance(value, str):
                raise TypeError(
                    f"`{name}` must be a list with one entry for each caption: "
                    "put a single one into a list. "
                    f"Received: str {value!r:.100}"
                )
        if len(image_ids) != len(captions):
            raise ValueError(
                "There must be as many image ids as captions. Repeat an id for each caption of its "
                f"image. Received: {len(image_ids)} image ids and {len(captions)} captions"
            )
        scores = np.empty(len(captions), dtype=np.float32)
        for index, (image_id, caption) in enumerate(zip(image_ids, captions, strict=True)):
            image = self._images.get(image_id)
            if image is None:
                raise ValueError(
                    "Every image id must be among those of `references`. Add "
                    f"the references of that image. Received: {image_id!r}, not one of "
                    f"{len(self._images)} known ids such as {next(iter(self._images))!r}"
                )
            scores[index] = self._score_one(image, _tokens(caption))
        return scores

    def _prepare(self, references: Mapping[Hashable, Sequence]) -> None:
        ending = [] if self.end_token is None else [self.end_token]
        frequencies: dict[tuple, int] = {}
        counted: dict[Hashable, list[dict[tuple, int]]] = {}
        # All images share one tuple of each n-gram, which halves the memory.
        shared: dict[tuple, tuple] = {}
        for image_id, sentences in references.items():
            counts = [count_ngrams([*_tokens(sentence), *ending]) for sentence in sentences]
            counted[image_id] = counts
            for ngram in {ngram for count in counts for ngram in count}:
                ngram = shared.setdefault(ngram, ngram)
                frequencies[ngram] = frequencies.get(ngram, 0) + 1
        self._squared_idf = {
            ngram: (self._log_images - math.log(frequency)) ** 2
            for ngram, frequency in frequencies.items()
        }
        patterns: dict[tuple, tuple] = {}
        for image_id, counts in counted.items():
            self._images[image_id] = _Image(counts, self._squared_idf, shared, patterns)

    def _score_one(self, image: "_Image", tokens: Sequence[Hashable]) -> float:
        if not tokens:
            return 0.0
        squared_idf, unseen, clip = self._squared_idf, self._log_images**2, self.clip
        find_weight, find_posting = squared_idf.get, image.postings.get
        num_references = len(image.norms)
        squares = [0.0] * MAX_ORDER
        products = [[0.0] * num_references for _ in range(MAX_ORDER)]
        for ngram, count in count_ngrams(tokens).items():
            weight = find_weight(ngram, unseen)
            order = len(ngram) - 1
            squares[order] += count * count * weight
            posting = find_posting(ngram)
            if posting is not None:
                product = products[order]
                for reference, times in posting:
                    product[reference] += (
                        (times if clip and times < count else count) * times * weight
                    )
        total = 0.0
        for reference in range(num_references):
            norms = image.norms[reference]
            similarity = 0.0
            for order in range(MAX_ORDER):
                if products[order][reference]:
                    similarity += products[order][reference] / (
                        math.sqrt(squares[order]) * norms[order]
                    )
            if clip:
                # coco-caption measures lengths in bigrams: one less than words, but 0 for none.
                delta = len(tokens) - 1 - image.bigrams[reference]
                similarity *= math.exp(-(delta**2) / (2 * self.sigma**2))
            total += similarity
        return 10.0 * total / (MAX_ORDER * num_references)


class _Image:
    """Statistics of the references of one image.

    `postings` maps an n-gram to pairs (reference index, count). The weight of a term is its
    count times its idf. Cosines need only the squared idf, which is in one table for all images.
    """

    __slots__ = ("bigrams", "norms", "postings")

    def __init__(
        self,
        counts: list[dict[tuple, int]],
        squared_idf: dict[tuple, float],
        shared: dict[tuple, tuple],
        patterns: dict[tuple, tuple],
    ):
        gathered: dict[tuple, tuple] = {}
        self.norms: list[list[float]] = []
        self.bigrams: list[int] = []
        for reference, count in enumerate(counts):
            squares = [0.0] * MAX_ORDER
            bigrams = 0
            for ngram, times in count.items():
                squares[len(ngram) - 1] += times * times * squared_idf[ngram]
                if len(ngram) == 2:
                    bigrams += times
                gathered[ngram] = (*gathered.get(ngram, ()), (reference, times))
            self.norms.append([math.sqrt(square) for square in squares])
            self.bigrams.append(bigrams)
        self.postings = {
            shared[ngram]: patterns.setdefault(pairs, pairs) for ngram, pairs in gathered.items()
        }


def _tokens(caption: str | Sequence[Hashable]) -> Sequence[Hashable]:
    return tokenize(caption) if isinstance(caption, str) else list(caption)
