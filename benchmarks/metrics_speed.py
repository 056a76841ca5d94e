"""Times the metrics on made-up captions, next to pycocoevalcap where it is installed.

python benchmarks/metrics_speed.py [number of images]
"""

import random
import sys
import time
from collections.abc import Callable

from keras_showattend.metrics import CiderD, bootstrap, score_captions, score_details, tokenize

WORDS = tokenize(
    "a the two man dog child woman red small big runs jumps plays sits on in with near"
)
FAST = ["bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider", "cider_d"]


def main() -> None:
    num_images = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    chooser = random.Random(0)

    def sentence() -> str:
        rare = [f"thing{'abcdefgh'[chooser.randrange(8)] * chooser.randrange(1, 40)}"]
        return " ".join(chooser.choices(WORDS, k=chooser.randrange(6, 14)) + rare) + " ."

    references = {f"{i}.jpg": [sentence() for _ in range(5)] for i in range(num_images)}
    captions = {name: sentence() for name in references}
    ids = list(references)

    ours = best("score_captions, no METEOR", lambda: score_captions(captions, references, FAST))
    best("score_captions, all", lambda: score_captions(captions, references))
    details = score_details(captions, references, FAST)
    best("bootstrap, 1000 resamples", lambda: bootstrap(details))
    tokens = {name: [tokenize(text) for text in texts] for name, texts in references.items()}
    best("CiderD(references)", lambda: CiderD(tokens))
    scorer = CiderD(tokens)
    batch = [name for name in ids[:64] for _ in range(5)]
    samples = [tokenize(sentence()) for _ in batch]
    cached = best("CiderD.score, 64 x 5 captions", lambda: scorer.score(batch, samples))

    try:
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError:
        print("pycocoevalcap is not installed: no ratio")
        return
    truths = {name: [" ".join(words) for words in texts] for name, texts in tokens.items()}
    candidates = {name: [" ".join(tokenize(text))] for name, text in captions.items()}

    def judge() -> None:
        Bleu(4).compute_score(truths, candidates, verbose=0)
        Rouge().compute_score(truths, candidates)
        Cider().compute_score(truths, candidates)

    theirs = best("pycocoevalcap, tokens given", judge)
    print(
        f"score_captions takes {ours / theirs:.2f} times pycocoevalcap's time, tokenizing included"
    )

    # pycocoevalcap has no cache: 5 samples an image are 5 runs over the whole corpus.
    rounds = best(
        "pycocoevalcap Cider, 5 rounds",
        lambda: [Cider().compute_score(truths, candidates) for _ in range(5)],
        repeats=1,
    )
    print(f"CiderD.score takes 1/{rounds / cached:.0f} of that for 64 images x 5 samples")


def best(name: str, work: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    print(f"{name:34} {min(times) * 1000:9.1f} ms")
    return min(times)


if __name__ == "__main__":
    main()
