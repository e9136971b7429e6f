"""What every Keras backend that the engines train on has to fulfill.

from sweep.testing.keras_backend import KerasBackendContract

class TestMine(KerasBackendContract):
    pass  # run it with KERAS_BACKEND set to the backend
"""

from typing import Any

import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.augmentation import augmentation_of
from sweep.engines.backends import current_backend
from sweep.engines.backends.base import Backend, Source
from sweep.engines.packed.start import EpochInput, LaneArrays, initial_arrays, learning_rates
from sweep.engines.packed.structure import Structure, structure_of
from sweep.engines.placed import ImageStore
from sweep.engines.sequential import compiled_model, minibatch_order
from sweep.testing.engine import FEW

IMAGES_PER_CALL = 100  # so that an epoch of the digits below takes several calls


class _Setting:
    """One config with its data on the device, as the engines prepare them."""

    def __init__(self, backend: Backend, seed: int = 0, rate: float = 0.05) -> None:
        values = {
            "data": FEW,
            "model": {"filters": [4], "dropout": 0.2},
            "schedule": {"initial_learning_rate": rate},
            "training": {"seed": seed, "epochs": 1},
        }
        self.config = TrialConfig.from_values(values, "test")
        self.dataset = load(self.config.data)
        self.placed = ImageStore(backend).place(self.dataset)
        widths = self.config.model.lane_widths
        self.structure: Structure = backend.fitted(structure_of(self.config, self.dataset), self.dataset, widths, ())
        kernel, arrays = self.structure.kernel, self.placed.arrays
        images = arrays.images if kernel.input_key is None else kernel.prepared(arrays.images)
        self.source: Source = backend.source(type(arrays)(images, arrays.labels), self.placed.divisor)

    def start(self) -> LaneArrays:
        """Return the state of a lane before its first epoch."""
        return initial_arrays(self.config, self.structure, self.dataset)

    def epoch_input(self) -> EpochInput:
        """Return the input of the first epoch."""
        order = self.placed.train[minibatch_order(self.config.training.seed, 1, len(self.placed.train))]
        num_steps = -(-len(order) // self.config.training.batch_size)
        rates = learning_rates(self.config, num_steps)[:num_steps]
        return EpochInput(order, rates, np.ones_like(rates), np.int32(0), self.placed.validation)


def _equal(ours: LaneArrays, theirs: LaneArrays) -> bool:
    pairs = zip([*ours.weights, *ours.statistics], [*theirs.weights, *theirs.statistics], strict=True)
    return all(np.array_equal(mine, other) for mine, other in pairs)


class KerasBackendContract:
    """Inherit from it and run it with KERAS_BACKEND set: Keras has one backend in a process."""

    @pytest.fixture
    def backend(self) -> Backend:
        """Return the backend of this process."""
        return current_backend()

    def test_it_names_the_device_in_use(self, backend: Any) -> None:
        """A study stores these words."""
        device = backend.device_in_use(2)
        assert device.kind in ("cpu", "gpu")
        assert device.keras_backend in device.description

    def test_steps_of_a_keras_model_train_it(self, backend: Any) -> None:
        """Weights change by training alone, and outputs are those of the model."""
        setting = _Setting(backend)
        model = compiled_model(setting.config, setting.dataset)
        augmentation = augmentation_of(setting.config, setting.dataset)
        steps = backend.compiled_steps(model, setting.placed, 32, IMAGES_PER_CALL, lambda: None, augmentation)
        before = model.get_weights()
        steps.validate()
        assert all(map(np.array_equal, before, model.get_weights()))
        num_images = len(setting.placed.train)
        steps.train(minibatch_order(0, 1, num_images), augmentation.step_seeds(0, 1, -(-num_images // 32)))
        assert not all(map(np.array_equal, before, model.get_weights()))
        expected = model(setting.dataset.x_validation, training=False)
        np.testing.assert_allclose(steps.predict(), np.asarray(expected), atol=1e-5)

    def test_augmentation_follows_its_seeds(self, backend: Any) -> None:
        """A resumed run would train on other images than an uninterrupted one."""
        setting, trained = _Setting(backend), []
        values = {**setting.config.values(), "augmentation": {"translation": 0.2, "mixup": 0.5}}
        config = TrialConfig.from_values(values, "augmented")
        augmentation, num_images = augmentation_of(config, setting.dataset), len(setting.placed.train)
        for epoch in (1, 1, 2):  # of the seeds; the order is the same
            model = compiled_model(config, setting.dataset)
            steps = backend.compiled_steps(model, setting.placed, 32, IMAGES_PER_CALL, lambda: None, augmentation)
            steps.train(minibatch_order(0, 1, num_images), augmentation.step_seeds(0, epoch, -(-num_images // 32)))
            steps.validate()
            trained.append(model.get_weights())
        assert all(map(np.array_equal, trained[0], trained[1]))
        assert not all(map(np.array_equal, trained[0], trained[2]))

    def test_a_lane_gives_back_the_state_that_it_was_given(self, backend: Any) -> None:
        """Checkpoints and exported weights depend on it."""
        setting = _Setting(backend)
        program = backend.lane_program(setting.structure, IMAGES_PER_CALL)
        start, lane = setting.start(), program.start(setting.start())
        assert _equal(program.read(lane), start)
        doubled = [2 * weights for weights in start.weights]
        program.write(lane, doubled, start.statistics)
        assert _equal(program.read(lane), start._replace(weights=doubled))

    def test_sums_of_an_epoch_are_those_of_the_outputs(self, backend: Any) -> None:
        """Scores are computed from them."""
        setting = _Setting(backend)
        program = backend.lane_program(setting.structure, IMAGES_PER_CALL)
        lane, given = program.start(setting.start()), setting.epoch_input()
        sums = program.train_epoch([lane], [given], setting.source, 1, lambda: None)
        outputs = program.predict([lane], [given], setting.source, 1, lambda: None)
        labels = setting.dataset.y_validation
        assert sums.shape == (1, 2, 2)
        assert outputs.shape == (1, len(labels), setting.dataset.num_classes)
        assert sums[0, 1, 1] == (outputs[0].argmax(axis=1) == labels).sum()
        loss = -np.log(outputs[0][np.arange(len(labels)), labels]).sum()
        np.testing.assert_allclose(sums[0, 1, 0], loss, rtol=1e-4)

    def test_a_lane_does_not_depend_on_the_others_and_compiles_nothing_new(self, backend: Any) -> None:
        """Every trial gets the score that it would get alone."""
        setting, other = _Setting(backend), _Setting(backend, seed=1, rate=1e30)
        program = backend.lane_program(setting.structure, IMAGES_PER_CALL)
        together = min(2, backend.lanes_per_call())

        def train(*settings: _Setting) -> LaneArrays:
            lanes = [program.start(one.start()) for one in settings]
            inputs = [one.epoch_input() for one in settings]
            program.train_epoch(lanes, inputs, setting.source, together, lambda: None)
            first = program.read(lanes[0])
            for lane in lanes:
                program.release(lane)
            return first  # type: ignore[no-any-return]

        alone, num_compilations = train(setting), program.num_compilations
        train(other)
        assert _equal(train(setting, *[other] * (together - 1)), alone)
        assert program.num_compilations == num_compilations

    def test_what_pause_raises_ends_the_call(self, backend: Any) -> None:
        """A signal is handled between two calls on the device."""
        setting = _Setting(backend)
        program = backend.lane_program(setting.structure, IMAGES_PER_CALL)

        def interrupt() -> None:
            raise InterruptedError

        with pytest.raises(InterruptedError):
            program.train_epoch([program.start(setting.start())], [setting.epoch_input()], setting.source, 1, interrupt)
