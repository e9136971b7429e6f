"""What folds and repeats differ by is shown wherever a score is."""

import json
import statistics

import pytest
from sweeps import make_space, run_sweep

import sweep
from sweep.cli.parser import main


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A study of three repeats each; by trial the scores of its runs."""
    monkeypatch.chdir(tmp_path)
    run_sweep(tmp_path / "studies", make_space(study={"name": "study", "repeats": 3}), 4)
    study = sweep.load_study("study").study
    return {trial.number: [value for (value,) in trial.user_attrs["run_values"]] for trial in study.trials}


def test_each_trial_has_its_standard_deviation_over_the_runs(runs, capsys, tmp_path):
    for number, scores in runs.items():
        assert len(set(scores)) == 3
        spread = f"+- {statistics.stdev(scores):.4f}"
        assert main(["show", "study", str(number)]) == 0
        assert spread in capsys.readouterr().out
        assert main(["show", "study", str(number), "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["std"] == [pytest.approx(statistics.stdev(scores))]
        assert statistics.fmean(value for (value,) in shown["run_values"]) == pytest.approx(shown["value"])
        assert main(["show", "study"]) == 0
        assert spread in capsys.readouterr().out
    best = max(runs.values(), key=statistics.fmean)
    assert main(["report", "study", "--out", "page.html"]) == 0
    assert f"± {statistics.stdev(best):.2g}" in (tmp_path / "page.html").read_text()
