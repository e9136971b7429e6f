"""Pruners: all of Optuna's by name; what decides is fixed by the config, not by the trials that happen to be there."""

import tomllib

import optuna
import pytest

from sweep.errors import SpaceError
from sweep.space.file import parse_space
from sweep.space.space import Space
from sweep.tuning.pruners import PRUNERS, build_pruner, check_reports

pytestmark = pytest.mark.filterwarnings("ignore:.* is experimental:optuna.exceptions.ExperimentalWarning")
OPTIONS = {"percentile": "percentile = 25.0", "threshold": "lower = 0.3", "patient": "patience = 1"}
FROM_OPTUNA = {
    kind
    for kind in vars(optuna.pruners).values()
    if isinstance(kind, type) and issubclass(kind, optuna.pruners.BasePruner)
} - {optuna.pruners.BasePruner}


def space(name: str, options: str = "", epochs: int = 9) -> Space:
    text = f'[study]\nname = "test"\n[training]\nepochs = {epochs}\n[pruner]\nname = "{name}"\n{options}'
    return parse_space(tomllib.loads(text), "my.toml")


def pruned_epochs(pruner: optuna.pruners.BasePruner, num_trials: int = 24, epochs: int = 9) -> list[int | None]:
    """For trials of falling quality: the epoch after which each was pruned."""
    study = optuna.create_study(study_name="test", direction="maximize", pruner=pruner)
    pruned: list[int | None] = []
    for number in range(num_trials):
        trial = study.ask()
        for epoch in range(1, epochs + 1):
            trial.report((1 - number / num_trials) * (1 - 1 / (epoch + 1)) - 0.02 * (epoch % 3 == 0), epoch - 1)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                pruned.append(epoch)
                break
        else:
            study.tell(trial, 1 - number / num_trials)
            pruned.append(None)
    return pruned


def test_every_pruner_that_optuna_ships_has_a_name() -> None:
    assert set(PRUNERS.values()) == FROM_OPTUNA


@pytest.mark.parametrize("name", PRUNERS)
def test_every_pruner_works_by_name(name: str) -> None:
    pruner = build_pruner(space(name, OPTIONS.get(name, "")))
    assert isinstance(pruner, PRUNERS[name])
    pruned = pruned_epochs(pruner)
    assert pruned[0] is None, "the best trial is never pruned"
    assert any(pruned) == (name not in ("none", "patient"))


def test_options_reach_the_pruner() -> None:
    eager = pruned_epochs(build_pruner(space("median", "n_startup_trials = 1")))
    warmed = pruned_epochs(build_pruner(space("median", "n_startup_trials = 1\nn_warmup_steps = 5")))
    assert eager[-1] == 1
    assert warmed[-1] == 6


@pytest.mark.parametrize(("epochs", "num_brackets"), [(3, 2), (9, 3), (30, 4)])
def test_hyperbands_brackets_follow_from_the_epochs_before_any_trial(epochs: int, num_brackets: int) -> None:
    """With Optuna's "auto" the first trials decide, and they differ after a resume."""
    text = (
        f'[study]\nname = "test"\n[pruner]\nname = "hyperband"\n'
        f'[space.epochs]\nkey = "training.epochs"\ntype = "int"\nlow = 1\nhigh = {epochs}\n'
    )
    pruner = build_pruner(parse_space(tomllib.loads(text), "my.toml"))
    study = optuna.create_study(direction="maximize", pruner=pruner)
    trial = study.ask()
    trial.report(0.5, 1)
    trial.should_prune()
    assert isinstance(pruner, optuna.pruners.HyperbandPruner)
    assert len(pruner._pruners) == num_brackets


def test_successive_halving_has_its_first_rung_at_once() -> None:
    """With Optuna's "auto" the first complete trial sets it, and nothing is pruned before."""
    pruner = build_pruner(space("successive_halving", epochs=300))
    assert isinstance(pruner, optuna.pruners.SuccessiveHalvingPruner)
    assert pruner._min_resource == 2, "the last step is 299"
    assert build_pruner(space("successive_halving", epochs=300), first_step=1)._min_resource == 3  # type: ignore[attr-defined]
    assert build_pruner(space("successive_halving"))._min_resource == 1  # type: ignore[attr-defined]
    assert build_pruner(space("successive_halving", "min_resource = 2"))._min_resource == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "options", "pattern"),
    [
        ("asha", "", 'pruner.name: "asha" is unknown; use none, median'),
        ("SuccessiveHalvingPruner", "", 'pruner.name: .*did you mean "successive_halving"'),
        ("median", "warmup = 3", "pruner.warmup: median has no such option; it takes n_startup_trials"),
        ("none", "args = 3", "pruner.args: none has no such option; it takes none"),
        ("median", 'wrapped_pruner = "median"', "pruner.wrapped_pruner: median has no such option"),
        ("patient", 'patience = 2\nwrapped_pruner = "asha"', 'pruner.wrapped_pruner.name: "asha" is unknown'),
        ("patient", 'patience = 2\nwrapped_pruner = "patient"', "pruner.wrapped_pruner: patient cannot be wrapped"),
        ("patient", "patience = 2\nwrapped_pruner = 3", 'pruner.wrapped_pruner: must be .* name = "median"'),
        (
            "patient",
            'patience = 2\nwrapped_pruner = "percentile"',
            "pruner.wrapped_pruner: percentile needs percentile",
        ),
        (
            "patient",
            'patience = 2\nwrapped_pruner = { name = "median", warmup = 3 }',
            "pruner.wrapped_pruner.warmup: median has no such option",
        ),
        ("median", 'n_warmup_steps = "five"', "pruner.n_warmup_steps: must be int, got 'five'"),
        ("median", "n_warmup_steps = -1", "pruner: .*-1"),
        ("percentile", "percentile = 101.0", "pruner: .*101"),
        ("percentile", "", "pruner: percentile needs percentile; add .*--pruner percentile:percentile=25.0"),
        ("threshold", "", "pruner: threshold needs lower or upper; add .*--pruner threshold:lower=0.2"),
        ("patient", "", "pruner: patient needs patience; add .*--pruner patient:patience=3"),
        ("hyperband", "max_resource = 0", "pruner: 0 steps .*less than min_resource 1"),
        ("hyperband", "min_resource = 10", "pruner: 9 steps .*are less than min_resource 10; lower min_resource"),
        ("successive_halving", "reduction_factor = 1", "pruner: .*reduction_factor"),
    ],
)
def test_wrong_names_and_options_are_refused_in_one_line(name: str, options: str, pattern: str) -> None:
    with pytest.raises(SpaceError, match=f"^my.toml: {pattern}") as caught:
        build_pruner(space(name, options))
    assert "\n" not in str(caught.value)


def test_a_patient_pruner_prunes_what_the_wrapped_one_would_and_no_earlier() -> None:
    options = 'patience = 2\nwrapped_pruner = { name = "median", n_startup_trials = 1 }'
    patient = build_pruner(space("patient", options))
    assert isinstance(patient._wrapped_pruner, optuna.pruners.MedianPruner)  # type: ignore[attr-defined]
    assert patient._wrapped_pruner._n_startup_trials == 1  # type: ignore[attr-defined]
    study = optuna.create_study(direction="maximize", pruner=patient)
    for value in (0.9, 0.1):
        trial = study.ask()
        pruned = []
        for step, score in enumerate((value, value, value - 0.05, value - 0.05, value - 0.05)):
            trial.report(score, step)
            pruned.append(trial.should_prune())
        study.tell(trial, value)
    assert pruned == [False] * 4 + [True], "far below the median, but two more epochs have to pass without improving"


def test_wilcoxon_needs_trials_of_several_runs() -> None:
    with pytest.raises(SpaceError, match=r"^my.toml: .*wilcoxon.*study.cross_validation or study.repeats"):
        check_reports(space("wilcoxon"))
    with pytest.raises(SpaceError, match="wilcoxon"):
        check_reports(space("patient", 'patience = 1\nwrapped_pruner = "wilcoxon"'))
    text = '[study]\nname = "test"\ncross_validation = 6\n[pruner]\nname = "wilcoxon"\n'
    check_reports(parse_space(tomllib.loads(text), "my.toml"))
    check_reports(space("median"))
