"""`scripts/ablation.py`: its plan, what waits for what, and the table."""

import argparse
import importlib.util
import json
import pathlib

import pytest

from keras_showattend import ImageCaptioner
from keras_showattend.recipes import Recipe

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "ablation.py"


@pytest.fixture(scope="module")
def ablation():
    spec = importlib.util.spec_from_file_location("ablation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def plan(ablation):
    return json.loads(ablation.RUNS.read_text())


def write_scores(folder, name, seed, **scores):
    path = folder / name / f"seed_{seed}" / "scores.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(scores))


def test_every_run_is_a_recipe_and_needs_runs_that_are_there(ablation, plan):
    base = Recipe.from_dict(plan["base"])
    assert plan["runs"]["base"] == {}
    for name, changes in plan["runs"].items():
        for relation in set(changes) & set(ablation.RELATIONS):
            assert changes[relation] in plan["runs"]
        values = {key: value for key, value in changes.items() if key not in ablation.RELATIONS}
        recipe = Recipe.from_dict({**plan["base"], **values})
        # A run that differs in nothing would measure nothing.
        assert name == "base" or recipe != base or set(changes) & set(ablation.JOINING)


def test_a_run_waits_for_those_that_it_needs(ablation, plan, tmp_path, capsys):
    args = argparse.Namespace(output=tmp_path, seeds=[0, 1])
    for name in ("ensemble", "distilled", "self-critical"):
        ablation.run_once(plan, name, 0, args)
        assert capsys.readouterr().out == f"{name}, seed 0: waits for the runs that it needs\n"
        assert not (tmp_path / name / "seed_0" / "scores.json").exists()
    # All seeds make one ensemble, which comes with the first.
    ablation.run_once(plan, "ensemble", 1, args)
    assert not (tmp_path / "ensemble" / "seed_1").exists()


def test_all_seeds_go_on_from_one_captioner(ablation, plan, tmp_path, monkeypatch):
    write_scores(tmp_path, "base", 0)
    write_scores(tmp_path, "base", 1)
    loaded = []

    def stop(preset):
        loaded.append(preset)
        raise RuntimeError("far enough")

    monkeypatch.setattr(ImageCaptioner, "from_preset", stop)
    args = argparse.Namespace(output=tmp_path, seeds=[1, 2])
    for seed in args.seeds:
        with pytest.raises(RuntimeError, match="far enough"):
            ablation.run_once(plan, "block 5 learns", seed, args)
    assert loaded == [str(tmp_path / "base" / "seed_0" / "preset")] * 2


def test_two_processes_do_not_do_the_same_run(ablation, tmp_path):
    with ablation.claimed(tmp_path / "run") as first, ablation.claimed(tmp_path / "run") as second:
        assert (first, second) == (True, False)
    with ablation.claimed(tmp_path / "run") as free:
        assert free


def test_table_by_hand(ablation, tmp_path, capsys):
    runs = {"runs": {"base": {}, "joined": {"ensemble": "base"}, "not yet": {"dropout": 0.1}}}
    for seed, cider in enumerate((0.47, 0.49, 0.51)):
        write_scores(
            tmp_path, "base", seed, bleu_4=0.2, rouge_l=0.45 + 0.01 * seed, cider=cider, loss=2.5
        )
    write_scores(tmp_path, "joined", 0, bleu_4=0.21, rouge_l=0.46, cider=0.5)
    ablation.print_table(runs, tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        f"| {'run':28} | seeds | bleu_4 | rouge_l | cider | loss |",
        f"| {'base':28} | 3 | 20.0 ± 0.0 | 46.0 ± 1.0 | 49.0 ± 2.0 | 2.500 ± 0.000 |",
        f"| {'joined':28} | 1 | 21.0 | 46.0 | 50.0 |  |",
    ]
