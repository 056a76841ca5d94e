"""Checks that the metrics give coco-caption's numbers, with pycocoevalcap as the judge.

    python scripts/check_metrics_parity.py Flickr8k.token.txt [Flickr_8k.devImages.txt]

Needs `pip install pycocoevalcap` and Java. Both sides tokenize every caption of the token file.
Then both score captions made from other captions against 5 references an image, for the images of
the second file or the first 1,000. The exit status is 1 if anything differs. NLTK's BLEU is only
shown: it counts one n-gram of each order in captions too short to have any.
"""

import contextlib
import io
import math
import random
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

from keras_showattend.metrics import CiderD, close_meteor, score_details, tokenize

TOLERANCE = 1e-4


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    references = read_token_file(Path(sys.argv[1]))
    images = list(references)[:1000]
    if len(sys.argv) == 3:
        images = Path(sys.argv[2]).read_text(encoding="utf-8").split()
    bad = check_tokenizer(references)
    bad += check_scores({image: references[image] for image in images}, references)
    print("all equal" if not bad else f"{bad} differences")
    return 1 if bad else 0


def read_token_file(path: Path) -> dict[str, list[str]]:
    references: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, caption = line.split("\t", 1)
        references.setdefault(name.split("#")[0], []).append(caption)
    return references


def check_tokenizer(references: dict[str, list[str]]) -> int:
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    with contextlib.redirect_stderr(io.StringIO()):
        theirs = PTBTokenizer().tokenize(
            {name: [{"caption": text} for text in texts] for name, texts in references.items()}
        )
    start = time.perf_counter()
    ours = {name: [" ".join(tokenize(t)) for t in texts] for name, texts in references.items()}
    seconds = time.perf_counter() - start
    bad = 0
    for name, texts in references.items():
        for text, mine, judge in zip(texts, ours[name], theirs[name], strict=True):
            if mine.split() != judge.split():
                bad += 1
                print(f"tokens differ: {text!r}\n  ours  {mine}\n  judge {judge}")
    total = sum(len(texts) for texts in references.values())
    print(f"tokenizer: {bad} of {total} captions differ; {seconds:.2f} s without Java")
    return bad


def make_captions(
    references: dict[str, list[str]], everything: dict[str, list[str]]
) -> dict[str, str]:
    """Makes captions: a third from other images, a third with words left out, a third rotated."""
    chooser = random.Random(0)
    others = list(everything)
    captions = {}
    for image, sentences in references.items():
        words = chooser.choice(sentences).split()
        kind = chooser.randrange(3)
        if kind == 0:
            words = chooser.choice(everything[chooser.choice(others)]).split()
        elif kind == 1:
            words = [word for word in words if chooser.random() < 0.7]
        else:
            place = chooser.randrange(len(words))
            words = words[place:] + words[:place]
        captions[image] = " ".join(words)
    # Worst cases: nothing at all, and one word.
    for image, text in zip(list(captions)[:2], ("", "dog"), strict=True):
        captions[image] = text
    return captions


def check_scores(references: dict[str, list[str]], everything: dict[str, list[str]]) -> int:
    captions = make_captions(references, everything)
    start = time.perf_counter()
    details = score_details(captions, references)
    print(
        f"{len(captions)} captions scored in {time.perf_counter() - start:.2f} s, METEORs included"
    )
    scores = details.corpus_scores()
    ids = details.image_ids
    candidates = {i: [" ".join(tokenize(captions[i]))] for i in ids}
    truths = {i: [" ".join(tokenize(text)) for text in references[i]] for i in ids}

    bad = 0

    def compare(name: str, ours: float, theirs: float, judge: str) -> None:
        nonlocal bad
        gap = abs(float(ours) - float(theirs))
        bad += gap > TOLERANCE
        print(f"  {name:28} {float(ours):.6f} {judge:24} {float(theirs):.6f} apart {gap:.1e}")

    for name, value, per_image in judge_scores(truths, candidates):
        if name not in scores:
            print(f"  {name:28} not computed here")
            continue
        compare(name, scores[name], value, "pycocoevalcap")
        # Where an image has no match of some order, its BLEU is 0 here. The judge replaces 0 by a
        # small number, whose root is not small.
        ours = details.per_image[name]
        gap = np.abs(ours - per_image)[ours > 0].max()
        bad += gap > TOLERANCE
        print(f"  {name + ', image by image':28} {'':33} largest gap {gap:.1e}")
    plain = paper_cider_d(truths, candidates)
    compare("cider_d", scores["cider_d"], plain, "written from the paper")
    scorer = CiderD({i: [text.split() for text in truths[i]] for i in ids})
    compare(
        "CiderD.score", scorer.score(ids, [candidates[i][0].split() for i in ids]).mean(), plain, ""
    )
    for order, value in enumerate(nltk_bleu(truths, candidates), start=1):
        gap = abs(scores[f"bleu_{order}"] - value)
        print(f"  bleu_{order}, for comparison {'':9}NLTK corpus_bleu {value:.6f} apart {gap:.1e}")
    if "meteor_nltk" in scores:
        value = nltk_meteor(truths, candidates)
        compare("meteor_nltk", scores["meteor_nltk"], value, "NLTK, uncached")
    close_meteor()
    return bad


def judge_scores(truths: dict[str, list[str]], candidates: dict[str, list[str]]):
    """Yields (our name, corpus score, scores of each image)."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge

    corpus, per_image = Bleu(4).compute_score(truths, candidates, verbose=0)
    for order in range(4):
        yield f"bleu_{order + 1}", corpus[order], np.array(per_image[order])
    yield "rouge_l", *Rouge().compute_score(truths, candidates)
    yield "cider", *Cider().compute_score(truths, candidates)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        meteor = Meteor()
        corpus, per_image = meteor.compute_score(truths, candidates)
        del meteor
    yield "meteor", corpus, np.array(per_image)


def paper_cider_d(truths: dict[str, list[str]], candidates: dict[str, list[str]]) -> float:
    """Computes CIDEr-D from the paper's formula, slowly, sharing no line with the package."""

    def grams(text: str, n: int) -> Counter:
        words = text.split()
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    total = 0.0
    for n in (1, 2, 3, 4):
        df = Counter(
            g for texts in truths.values() for g in set().union(*(grams(t, n) for t in texts))
        )

        def tfidf(text: str, n: int = n, df: Counter = df) -> dict[tuple, float]:
            return {g: c * math.log(len(truths) / max(1, df[g])) for g, c in grams(text, n).items()}

        for image, (candidate,) in candidates.items():
            c = tfidf(candidate)
            norm_c = math.sqrt(sum(v * v for v in c.values()))
            for text in truths[image]:
                r = tfidf(text)
                norm_r = math.sqrt(sum(v * v for v in r.values()))
                if norm_c and norm_r:
                    delta = len(candidate.split()) - len(text.split())
                    dot = sum(min(v, r.get(g, 0.0)) * r.get(g, 0.0) for g, v in c.items())
                    likeness = dot / norm_c / norm_r * math.exp(-(delta**2) / 72)
                    total += 10 * likeness / len(truths[image]) / 4
    return total / len(truths)


def nltk_bleu(truths: dict[str, list[str]], candidates: dict[str, list[str]]) -> list[float]:
    from nltk.translate.bleu_score import corpus_bleu

    sentences = [[text.split() for text in texts] for texts in truths.values()]
    captions = [text.split() for (text,) in candidates.values()]
    weights = [tuple([1 / n] * n) for n in (1, 2, 3, 4)]
    start = time.perf_counter()
    values = corpus_bleu(sentences, captions, weights=weights)
    print(f"  (NLTK's corpus_bleu took {time.perf_counter() - start:.2f} s)")
    return values


def nltk_meteor(truths: dict[str, list[str]], candidates: dict[str, list[str]]) -> float:
    from nltk.translate.meteor_score import meteor_score

    from keras_showattend.metrics.meteor_nltk import _load_wordnet

    wordnet = _load_wordnet()
    return sum(
        meteor_score(
            [text.split() for text in truths[i]], candidates[i][0].split(), wordnet=wordnet
        )
        for i in truths
    ) / len(truths)


if __name__ == "__main__":
    sys.exit(main())
