"""Families of ours, a builder and a family of a user's own fulfil the same contract."""

import sys
from pathlib import Path

import pytest

from sweep.testing.model_family import ModelFamilyContract


@pytest.fixture(autouse=True)
def users_modules(monkeypatch):
    """Those of a user lie beside the tests' own."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    yield
    sys.modules.pop("residual_family", None)


class TestCnn(ModelFamilyContract):
    models = (
        {"family": "cnn", "filters": [4], "dense_units": 8},
        {"family": "cnn", "filters": [4, 6], "padding": "same", "batch_norm": True, "convolution_dropout": 0.2},
    )


class TestMlp(ModelFamilyContract):
    models = ({"family": "mlp", "hidden_units": [8]}, {"family": "mlp", "hidden_units": [8, 6], "dropout": 0.3})


class TestBuilder(ModelFamilyContract):
    models = ({"builder": "silent_models:build"},)


class TestResidual(ModelFamilyContract):
    models = ({"family": "residual_family:FAMILY", "blocks": 1, "width": 4, "head": [5], "dropout": 0.2},)
