"""Reading by plain rows gives what Optuna's own reading gives."""

import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from sweep.storage import connect_reader, create_database, database_url

DISTRIBUTIONS = {
    "rate": FloatDistribution(1e-5, 1e-1, log=True),
    "units": IntDistribution(8, 64, step=8),
    "kind": CategoricalDistribution(["relu", None, 3, True]),
}
PARAMS = {"units": 16, "rate": 1e-3, "kind": None}


@pytest.fixture
def folder(tmp_path):
    """Two studies, one of two objectives, with trials of every state and every kind of value."""
    create_database(database_url(tmp_path))
    storage = f"sqlite:///{tmp_path / 'sweep.db'}"
    one = optuna.create_study(study_name="one", storage=storage)
    two = optuna.create_study(study_name="two", storage=storage, directions=["minimize", "maximize"])
    for values in ([1.5], [math.inf], [-math.inf]):
        reported = {1: 0.25, 3: math.nan, 2: -math.inf}
        attrs = {"history": [{"loss": 1.0, "name": "é"}], "none": None}
        made = {"params": PARAMS, "distributions": DISTRIBUTIONS, "user_attrs": attrs, "system_attrs": {"a:b": [1]}}
        one.add_trial(create_trial(values=values, intermediate_values=reported, **made))
        two.add_trial(create_trial(values=[2.0, *values], **made))
    one.add_trial(create_trial(state=TrialState.PRUNED, value=0.5, intermediate_values={1: 0.5}))
    one.add_trial(create_trial(state=TrialState.FAIL))
    one.enqueue_trial({"rate": 0.01})
    one.ask(DISTRIBUTIONS)
    one.enqueue_trial({"rate": 0.02})
    return tmp_path


def read(storage, name, states=None, included=(), after=-1):
    """As texts, as NaN is not equal to itself; steps in order, which Optuna's reading leaves to the database."""
    trials = storage._get_trials(storage.get_study_id_from_name(name), states, {*included}, after)
    for trial in trials:
        trial.intermediate_values = dict(sorted(trial.intermediate_values.items()))
    return [repr(trial) for trial in trials]


@pytest.mark.parametrize("states", [None, (TrialState.COMPLETE,), (TrialState.WAITING, TrialState.RUNNING)])
@pytest.mark.parametrize(("included", "after"), [((), -1), ((), 3), ((1, 2, 5), 3)])
def test_the_same_trials_are_read(folder, states, included, after):
    ours, theirs = connect_reader(database_url(folder)), RDBStorage(f"sqlite:///{folder / 'sweep.db'}")
    for name in ("one", "two"):
        assert read(ours, name, states, included, after) == read(theirs, name, states, included, after)
    assert len(read(ours, "one")) == 7


def test_a_study_that_is_not_there_is_a_key_error(folder):
    with pytest.raises(KeyError):
        connect_reader(database_url(folder))._get_trials(77, None, set(), -1)
