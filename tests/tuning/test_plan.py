"""`plan` is a pure function: options, space, what is stored and what was found out give the plan of a sweep."""

from dataclasses import replace

import pytest
from sweeps import make_settings, make_space

from sweep.engines.device import Device
from sweep.errors import InputError
from sweep.executors.pool import Resources
from sweep.options import DeviceOptions, EngineOptions, RunOptions
from sweep.space.file import parse_space
from sweep.tuning.plan import check_function_options, plan
from sweep.tuning.probing import DataSummary, Probe

DATA = DataSummary("hash", (8, 8, 1), 10)
FOUND = Probe(DATA, Resources(threads=4, memory_bytes=2**34), versions={"sweep": "1"})
CPU = Device("cpu", "cpu, 4 threads", "tensorflow", onednn=True, has_fast_bfloat16=True)
GPU = Device("gpu:0", "gpu:0 (a card)", "jax", has_fast_bfloat16=True)
AUTO = make_space(training={"epochs": 2, "precision": "auto"})


def test_what_is_found_out_decides_where_nothing_is_asked():
    made = plan(RunOptions(), AUTO, None, replace(FOUND, device=CPU))
    assert (made.settings.engine, made.settings.num_lanes, made.settings.threads) == ("packed", 4, 4)
    assert (made.settings.device, made.settings.keras_backend, made.settings.onednn) == ("cpu", "tensorflow", True)
    assert made.space.fixed["training"]["precision"] == made.settings.precision == "mixed_bfloat16"
    assert (made.num_trials, made.settings.data_hash) == (AUTO.study.num_trials, "hash")


def test_a_gpu_gets_other_lanes_than_the_cpu_that_was_planned_for():
    options = RunOptions(trials=1000)
    lanes = [plan(options, AUTO, None, found).choice.num_lanes for found in (FOUND, replace(FOUND, device=GPU))]
    assert lanes == [4, 128]


def test_options_go_before_what_is_stored_and_that_before_the_automatic_choice():
    stored = make_settings(AUTO, engine="packed", num_lanes=3, threads=2)
    assert plan(RunOptions(), AUTO, stored, FOUND).choice.num_lanes == 3
    asked = RunOptions(engine=EngineOptions(lanes=2), seed=7, trials=9)
    made = plan(asked, AUTO, stored, FOUND)
    assert (made.choice.num_lanes, made.settings.seed, made.num_trials) == (2, 7, 9)


def test_a_resumed_study_keeps_its_precision_and_is_silent_on_onednn_as_it_was():
    stored = make_settings(make_space(training={"epochs": 2, "precision": "float32"}), onednn=None)
    made = plan(RunOptions(), AUTO, stored, replace(FOUND, device=CPU))
    assert made.settings.precision == "float32"
    assert made.settings.onednn is None


def test_workers_share_the_trials():
    made = plan(RunOptions(trials=8), AUTO, None, replace(FOUND, num_workers=4))
    assert (made.settings.num_workers, made.choice.num_lanes) == (4, 2)


def test_options_of_training_have_no_effect_on_a_function():
    options = RunOptions(device=DeviceOptions(threads=2))
    with pytest.raises(InputError, match="--threads"):
        check_function_options(options, _function_space("beale"))
    check_function_options(options, _function_space("mine:train"))  # which may train


def _function_space(function):
    x = {"type": "float", "low": 0, "high": 1}
    return parse_space({"study": {"name": "study", "function": function}, "space": {"x": x, "y": x}}, "space.toml")
