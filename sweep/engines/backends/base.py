"""The contract that a Keras backend fulfills so that the engines can train on it.

A backend is a package that has the members of `Backend` at its top level. It binds Keras to a device, runs the compiled
steps of one Keras model (the sequential engine), and runs lane programs (the packed engine).

Shape suffixes: B minibatch, H height, W width, C channels, Y classes, N training images, V validation images.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sweep.engines.device import Device
from sweep.engines.placed import Arrays, Placed

if TYPE_CHECKING:
    from sweep.data import Dataset
    from sweep.engines.augmentation import Augmentation
    from sweep.engines.packed.start import EpochInput, LaneArrays
    from sweep.engines.packed.structure import Structure
    from sweep.models.lane_kernel import Widths

EVALUATION_BATCH_SIZE = 256  # images of a minibatch of the validation part
Pause = Callable[[], None]  # called between calls on the device; it may raise
Source = tuple[Any, Any, Any]  # images, labels, and the divisor of images that are integers: on the device
Lane = Any  # the state of a lane, in the backend's own arrays or variables


class CompiledSteps(Protocol):
    """Training and validation steps of one compiled Keras model. Its metrics accumulate until `reset_metrics`."""

    def train(self, order: NDArray[np.int32], step_seeds: NDArray[np.int32]) -> None:
        """Train one epoch.

        Args:
            order: The order (N,) of the training images. The last minibatch may be smaller than the others.
            step_seeds: Seeds (S, L, 2) of each step: see `Augmentation.step_seeds`.

        """

    def validate(self) -> None:
        """Evaluate the model on the whole validation part."""

    def predict(self) -> NDArray[Any]:
        """Return the model's outputs (V, Y) for the validation part."""


class LaneProgram(Protocol):
    """The compiled training and validation of all lanes that share a structure."""

    @property
    def num_compilations(self) -> int:
        """How many programs were compiled so far."""

    def start(self, arrays: "LaneArrays") -> Lane:
        """Create a lane with this initial state."""

    def release(self, lane: Lane) -> None:
        """Free the memory of a lane, or let another lane reuse it."""

    def read(self, lane: Lane) -> "LaneArrays":
        """Return the lane's state as NumPy arrays without padding; `slots` and `masks` are empty."""

    def write(self, lane: Lane, weights: Sequence[NDArray[Any]], statistics: Sequence[NDArray[Any]]) -> None:
        """Replace the weights and the batch normalization statistics of a lane."""

    def train_epoch(
        self,
        lanes: Sequence[Lane],
        inputs: Sequence["EpochInput"],
        images: Source,
        lanes_per_call: int,
        pause: Pause,
    ) -> NDArray[Any]:
        """Train each lane for one epoch, then evaluate it on the validation part.

        The result for a lane must not depend on the other lanes.

        Args:
            lanes: At most `lanes_per_call` lanes.
            inputs: The epoch's input of each lane.
            images: What `source` returned.
            lanes_per_call: The number of lanes that the program is compiled for.
            pause: Called between calls on the device. If it raises, the lanes are unusable.

        Returns:
            Sums (lanes, 2, 2) over the training and the validation part: of each minibatch's mean loss times its size,
            and of the correctly classified images.
        """

    def predict(
        self,
        lanes: Sequence[Lane],
        inputs: Sequence["EpochInput"],
        images: Source,
        lanes_per_call: int,
        pause: Pause,
    ) -> NDArray[Any]:
        """Return each lane's outputs (lanes, V, Y) for the validation part. Arguments as for `train_epoch`."""


class Backend(Protocol):
    """What the engines need from a Keras backend."""

    @property
    def NAME(self) -> str:  # noqa: N802
        """The name that KERAS_BACKEND has for it."""

    @property
    def DIVIDES_EXACTLY(self) -> bool:  # noqa: N802
        """Whether a compiled program that divides float32 by an input returns the correctly rounded quotient."""

    # ---- device ----

    def set_up_device(self, name: str, threads: int, gpu_memory_gb: float | None, operation_threads: int) -> Device:
        """Bind Keras to a device, before anything else uses the backend.

        Args:
            name: `auto`, `cpu` or `gpu:N`.
            threads: CPU threads in total.
            gpu_memory_gb: Cap on GPU memory in GiB. None: as much as is needed.
            operation_threads: CPU threads of a single operation, where the backend lets one choose.

        Raises:
            DeviceError: The device does not exist, or the backend was set up for another one.
        """

    def device_in_use(self, threads: int) -> Device:
        """Return the device that Keras trains on in this process, however it was set up."""

    # ---- arrays ----

    def put(self, array: NDArray[Any]) -> Any:
        """Copy an array to the device in use."""

    def source(self, arrays: Arrays, divisor: np.float32) -> Source:
        """Return what programs take minibatches from. The divisor is 1 if all images are scaled already."""

    def minibatch(self, source: Source, rows_B: Any) -> tuple[Any, Any]:
        """Return the scaled images, float32 (B, H, W, C), and the labels (B,) of these rows, within a program."""

    def as_compiled(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a function of `keras.ops` that computes the same bits as within a compiled program."""

    # ---- programs ----

    def compiled_steps(
        self,
        model: Any,
        placed: Placed,
        batch_size: int,
        images_per_call: int,
        pause: Pause,
        augmentation: "Augmentation",
    ) -> CompiledSteps:
        """Compile the steps of a compiled Keras model.

        Args:
            model: The model.
            placed: The dataset on the device.
            batch_size: Images of a training step.
            images_per_call: A call on the device covers at most this number of images.
            pause: Called between calls.
            augmentation: Changes the minibatches of training and encodes the labels.

        """

    def lanes_per_call(self) -> int:
        """How many lanes go through one call at most; further lanes are other calls on other threads."""

    def fitted(
        self, structure: "Structure", dataset: "Dataset", widths: "Widths", widest: Sequence["Widths"]
    ) -> "Structure":
        """Return the structure of the program that a lane is trained by.

        Args:
            structure: The structure of the lane's config.
            dataset: What the lane trains on.
            widths: The lane's own widths.
            widest: The widest widths of the space for each number of layers: what a backend pads to that compiles for
                fixed shapes.
        """

    def lane_program(self, structure: "Structure", images_per_call: int) -> LaneProgram:
        """Create the program of a structure. A call on the device covers at most `images_per_call` images."""
