"""Each private part of Optuna that is relied upon still does what it is relied upon for, and nothing else is used.

A failure names the function of `sweep.storage.optuna_internals` to mend, and what of Optuna it stands on.
"""

import ast
import importlib
import inspect
import json
import math
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import optuna_dashboard
import pytest
import sqlalchemy
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

import sweep

INTERNALS = "sweep.storage.optuna_internals"
PACKAGE = Path(sweep.__file__).parent
OPTUNAS = ("optuna", "optuna_dashboard", "optuna_integration", "cmaes")
RATE = FloatDistribution(0.0, 1.0)


@contextmanager
def relying_on(ours: str, part: str, package: str = "optuna") -> Iterator[ModuleType]:
    """The module of internals; whatever fails in the body is said to be the fault of the part."""
    try:
        yield importlib.import_module(INTERNALS)
    except Exception as error:
        installed = f"{package} {version(package)}"
        pytest.fail(f"{INTERNALS}.{ours} no longer works: {part} has changed in {installed}: {error!r}")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[RDBStorage]:
    """Plain Optuna's, with a study of five trials."""
    storage = RDBStorage(f"sqlite:///{tmp_path}/optuna.db")
    fill(optuna.create_study(storage=storage, study_name="five"))
    yield storage
    storage.remove_session()
    storage.engine.dispose()


def fill(study: optuna.Study) -> None:
    """Values 0, 1, inf, of a pruned one NaN, and of one that runs none."""
    for value in (0.0, 1.0, math.inf):
        study.tell(study.ask({"rate": RATE}), value)
    pruned = study.ask({"rate": RATE})
    pruned.report(math.nan, 0)
    study.tell(pruned, state=TrialState.PRUNED)
    study.ask()


def finished(value: float) -> FrozenTrial:
    return create_trial(value=value, params={"rate": 0.5}, distributions={"rate": RATE})


def test_tables_hold_what_plain_optuna_writes(database: RDBStorage) -> None:
    names = {
        "studies": {"study_id", "study_name"},
        "study_directions": {"study_id", "objective", "direction"},
        "study_user_attributes": {"study_id", "key", "value_json"},
        "study_system_attributes": {"study_id", "key", "value_json"},
        "trials": {"trial_id", "number", "study_id", "state", "datetime_start", "datetime_complete"},
        "trial_params": {"trial_id", "param_name", "param_value", "distribution_json"},
        "trial_values": {"trial_id", "objective", "value", "value_type"},
        "trial_intermediate_values": {"trial_id", "step", "intermediate_value", "intermediate_value_type"},
        "trial_user_attributes": {"trial_id", "key", "value_json"},
        "trial_system_attributes": {"trial_id", "key", "value_json"},
    }
    with relying_on("schema_table", "optuna.storages._rdb.models.BaseModel") as ours, database.engine.connect() as rows:
        tables = {name: ours.schema_table(name) for name in names}
        for name, columns in names.items():
            own_id = {column.name for column in tables[name].primary_key.columns}
            assert {column.name for column in tables[name].c} - own_id == columns - own_id
        states = rows.execute(sqlalchemy.select(tables["trials"].c.state).order_by(tables["trials"].c.trial_id))
        assert [state.name for (state,) in states] == ["COMPLETE", "COMPLETE", "COMPLETE", "PRUNED", "RUNNING"]


def test_values_are_stored_as_plain_optuna_stores_them(database: RDBStorage) -> None:
    part = "optuna.storages._rdb.models.TrialValueModel.value_to_stored_repr"
    with relying_on("stored_value", part) as ours, database.engine.connect() as rows:
        table = ours.schema_table("trial_values").c
        found = rows.execute(sqlalchemy.select(table.value, table.value_type).order_by(table.trial_id))
        assert [*map(tuple, found)] == [ours.stored_value(value) for value in (0.0, 1.0, math.inf)]


def test_reported_values_are_stored_as_plain_optuna_stores_them(database: RDBStorage) -> None:
    part = "optuna.storages._rdb.models.TrialIntermediateValueModel.intermediate_value_to_stored_repr"
    with relying_on("stored_intermediate_value", part) as ours, database.engine.connect() as rows:
        table = ours.schema_table("trial_intermediate_values").c
        (found,) = rows.execute(sqlalchemy.select(table.intermediate_value, table.intermediate_value_type))
        assert tuple(found) == ours.stored_intermediate_value(math.nan)
        for kind, value in ours.NOT_FINITE.items():
            assert [part.name for part in ours.stored_intermediate_value(value)[1:]] == [kind]


def test_a_trial_knows_its_id_in_the_storage(database: RDBStorage) -> None:
    other = optuna.create_study(storage=database, study_name="other")
    other.ask()
    with relying_on("row_id", "FrozenTrial._trial_id") as ours:
        (trial,) = other.trials
        assert trial.number == 0
        assert ours.row_id(trial) == 6
        assert database.get_trial(ours.row_id(trial)).number == 0


def test_a_study_knows_its_storage() -> None:
    with relying_on("storage_of", "Study._storage") as ours:
        storage = optuna.storages.InMemoryStorage()
        assert ours.storage_of(optuna.create_study(storage=storage)) is storage


def test_a_distribution_knows_its_values() -> None:
    with relying_on("contains", "BaseDistribution._contains") as ours:
        assert [ours.contains(RATE, value) for value in (-0.1, 0.0, 1.0, 1.1)] == [False, True, True, False]
        kinds = CategoricalDistribution(["a", "b"])
        assert [ours.contains(kinds, index) for index in (0, 1, 2)] == [True, True, False]
        stepped = FloatDistribution(0.0, 1.0, step=0.25)
        assert [ours.contains(stepped, value) for value in (0.25, 0.3)] == [True, False]


def test_with_hyperband_a_sampler_sees_the_trials_of_its_bracket() -> None:
    study = optuna.create_study(study_name="study", pruner=optuna.pruners.HyperbandPruner(1, 9, 3))
    for value in range(12):
        study.add_trial(finished(value))
    study.pruner.prune(study, study.trials[0])  # there are no brackets before
    with relying_on("study_seen_by_sampler", "optuna.pruners._filter_study") as ours:
        seen = [{other.number for other in ours.study_seen_by_sampler(study, trial).trials} for trial in study.trials]
        assert all(trial.number in numbers for trial, numbers in zip(study.trials, seen, strict=True))
        brackets = {frozenset(numbers) for numbers in seen}
        assert len(brackets) > 1
        assert sorted(number for bracket in brackets for number in bracket) == [*range(12)]
        plain = optuna.create_study(pruner=optuna.pruners.MedianPruner())
        assert ours.study_seen_by_sampler(plain, finished(0.0)) is plain


def test_the_dashboards_cache_can_be_emptied(tmp_path: Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(storage=storage).add_trial(finished(0.25))
    app = optuna_dashboard.wsgi(storage)
    part = "the application's _inmemory_cache"
    with relying_on("forget_trials", part, "optuna-dashboard") as ours:
        assert shown_values(app) == [[0.25]]
        storage.delete_study(0)
        other = optuna.storages.InMemoryStorage()
        optuna.create_study(storage=other).add_trial(finished(0.75))
        vars(storage).update(vars(other))  # another study under the same id
        ours.forget_trials(app)
        assert shown_values(app) == [[0.75]]


def shown_values(app: Any) -> list[list[float]]:
    """Of the trials that a page of study 0 is sent."""
    environ: dict[str, Any] = {"PATH_INFO": "/api/studies/0", "QUERY_STRING": "after=0"}
    setup_testing_defaults(environ)
    answer = app(environ, lambda *_: None)
    return [trial["values"] for trial in json.loads(b"".join(answer))["trials"]]


def test_trials_can_be_put_into_memory_as_they_are() -> None:
    with relying_on("MemoryStorage.put_trial", "InMemoryStorage._set_trial or _update_cache") as ours:
        storage = ours.MemoryStorage()
        study_id = storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE])
        trials = [finished(value) for value in (0.25, 0.75, 0.5)]
        for trial in trials:
            trial_id = storage.create_new_trial(study_id)
            trial.number = trial_id
            storage.put_trial(study_id, trial_id, trial)
        found = storage.get_all_trials(study_id, deepcopy=False)
        assert all(one is other for one, other in zip(found, trials, strict=True))
        assert [ours.row_id(trial) for trial in found] == [0, 1, 2]
        assert storage.get_best_trial(study_id) is trials[1]
        with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
            storage.set_trial_user_attr(0, "key", "value")


def test_memory_holds_later_trials_to_the_distributions_that_it_is_given() -> None:
    with relying_on("MemoryStorage.known_distributions", "InMemoryStorage._studies[...].param_distribution") as ours:
        storage = ours.MemoryStorage()
        study_id = storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE])
        storage.known_distributions(study_id)["kind"] = CategoricalDistribution(["a", "b"])
        trial_id = storage.create_new_trial(study_id)
        with pytest.raises(ValueError, match="dynamic value space"):
            storage.set_trial_param(trial_id, "kind", 0, CategoricalDistribution(["a", "c"]))
        storage.set_trial_param(trial_id, "rate", 0.5, RATE)
        assert storage.known_distributions(study_id)["rate"] == RATE


def row_storage(database: RDBStorage) -> Any:
    """A `RowStorage` whose trial 1 is read as FAIL, and what it was asked for."""
    asked: list[tuple[int, list[int]]] = []

    class Counting(importlib.import_module(INTERNALS).RowStorage):  # type: ignore[misc]
        def read_trials(self, study_id: int, after_row: int, included: Any) -> list[FrozenTrial]:
            asked.append((after_row, sorted(included)))
            rows = [row for row in range(1, 6) if row > after_row or row in included]
            trials = [RDBStorage.get_trial(self, row) for row in rows]
            for trial in trials:
                if trial.number == 0:
                    trial.state, trial.values = TrialState.FAIL, None
            return trials

    return Counting(str(database.engine.url), skip_table_creation=True), asked


def test_trials_of_a_database_are_read_by_our_rules_in_every_way(database: RDBStorage) -> None:
    with relying_on("RowStorage", "RDBStorage._get_trials or _get_best_trial_id") as ours:
        storage, asked = row_storage(database)
        assert [trial.state.name for trial in storage.get_all_trials(1)][:2] == ["FAIL", "COMPLETE"]
        assert [trial.number for trial in storage.get_all_trials(1, states=(TrialState.FAIL,))] == [0]
        assert storage.get_best_trial(1).number == 1  # by Optuna's query it would be 0
        assert ours.TrialCache(storage).get_best_trial(1).number == 1
        assert asked[0] == (-1, [])
        storage.remove_session()
        storage.engine.dispose()


def test_finished_trials_are_read_once_until_their_study_is_forgotten(database: RDBStorage) -> None:
    with relying_on("TrialCache", "optuna.storages._cached_storage._CachedStorage") as ours:
        storage, asked = row_storage(database)
        cache = ours.TrialCache(storage)
        with cache.lock:
            assert cache.last_known_row(1) == 0
        assert len(cache.get_all_trials(1)) == len(cache.get_all_trials(1)) == 5
        assert asked == [(-1, []), (4, [])]
        with cache.lock:
            assert cache.last_known_row(1) == 4
            cache.forget(1)
            assert cache.last_known_row(1) == 0
        assert len(cache.get_all_trials(1)) == 5
        assert asked[2:] == [(-1, [])]
        storage.remove_session()
        storage.engine.dispose()


def test_a_sampler_is_shown_new_trials_by_a_study_that_is_never_asked() -> None:
    """TPE looks at a study's trials by way of the study's cache."""
    with relying_on("UncachedStudy", "Study._get_trials, _storage or _study_id") as ours:
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(storage=storage)
        shown = ours.UncachedStudy(study.study_name, storage)
        for value in range(15):
            fresh = optuna.load_study(study_name=study.study_name, storage=storage)
            samplers = (optuna.samplers.TPESampler(n_startup_trials=3, seed=value) for _ in range(2))
            drawn, expected = (
                sampler.sample_independent(one, finished(0.0), "rate", RATE)
                for sampler, one in zip(samplers, (shown, fresh), strict=True)
            )
            assert drawn == expected
            study.add_trial(finished(value))


@pytest.mark.filterwarnings("ignore:.* is an experimental feature:optuna.exceptions.ExperimentalWarning")
def test_the_optimizer_of_cmaes_is_read_by_our_rules() -> None:
    part = "CmaEsSampler._restore_optimizer, _attr_key_optimizer or _concat_optimizer_attrs"
    with relying_on("RestoringCmaEsSampler", part) as ours:
        read = []

        class Sampler(ours.RestoringCmaEsSampler):  # type: ignore[misc]
            def restored(self, trial: FrozenTrial, text: Any) -> Any:
                read.append((trial.number, text()))
                return pickle.loads(bytes.fromhex(text()))

        studies = [optuna.create_study() for _ in range(2)]
        for kind, study in zip((Sampler, optuna.samplers.CmaEsSampler), studies, strict=True):
            for seed in range(20):
                study.sampler = kind(seed=seed, warn_independent_sampling=False)
                trial = study.ask({"rate": RATE, "other": RATE})
                study.tell(trial, sum(trial.params.values()))
        assert [trial.params for trial in studies[0].trials] == [trial.params for trial in studies[1].trials]
        stored = {number for number, _ in read}
        assert len(stored) > 1
        for number, text in read:
            attrs = studies[0].trials[number].system_attrs
            assert text == "".join(value for key, value in attrs.items() if key.startswith("cma:optimizer"))


# ---- and nothing else ----


@pytest.mark.slow
def test_no_private_part_of_optuna_is_used_elsewhere() -> None:
    """Nor is one overridden by chance: a name of ours in a subclass that Optuna's class has too."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if name != INTERNALS:
            tree = ast.parse(path.read_text())
            paths = {*imported(tree)}
            found += private_imports(name, tree)
            if any(path.startswith((*OPTUNAS, "sweep.storage", "sweep.tuning")) for path in paths):
                found += private_accesses(name, tree)
                if not any("keras" in path for path in paths):  # which takes seconds to import
                    found += private_names_of_bases(name, importlib.import_module(name))
    assert found == [], f"put these into {INTERNALS}, or rename what is ours"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")


def imported(tree: ast.AST) -> Iterator[str]:
    """`optuna.storages._rdb.models`, `optuna.pruners._filter_study`, wherever in the module that is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def private_imports(name: str, tree: ast.AST) -> list[str]:
    return [
        f"{name}: {path}"
        for path in imported(tree)
        if path.split(".")[0] in OPTUNAS and any(map(is_private, path.split(".")))
    ]


def private_accesses(name: str, tree: ast.AST) -> Iterator[str]:
    """`trial._trial_id`, `getattr(trial, "_trial_id")`: names that Optuna has and no function here."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            used = node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            used = node.value
        else:
            continue
        if is_private(used) and used in optunas_names() and used not in own:
            yield f"{name}:{node.lineno}: {used}"


def private_names_of_bases(name: str, module: ModuleType) -> Iterator[str]:
    """`self._storage`, `def _get_trials` in a class of ours that has a base of Optuna's with that name."""
    for kind in vars(module).values():
        if not (inspect.isclass(kind) and kind.__module__ == name):
            continue
        theirs = {
            one
            for base in kind.__mro__
            if base.__module__.split(".")[0] in OPTUNAS
            for one in defined_names(ast.parse(inspect.getsource(base)))
        }
        tree = ast.parse(inspect.getsource(kind))
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | {*defined_names(tree)}
        yield from (f"{name}.{kind.__name__}: {one}" for one in sorted(used & theirs) if is_private(one))


def defined_names(tree: ast.AST) -> Iterator[str]:
    """Functions, classes, and attributes that are set."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


@cache
def optunas_names() -> frozenset[str]:
    """Private ones that Optuna and what belongs to it define."""
    found: set[str] = set()
    for package in OPTUNAS:
        spec = find_spec(package)
        for place in spec.submodule_search_locations or () if spec is not None else ():
            for path in Path(place).rglob("*.py"):
                found.update(filter(is_private, defined_names(ast.parse(path.read_text()))))
    return frozenset(found)
