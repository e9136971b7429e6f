"""What `training.precision = "auto"` means on a device, and what is said of a precision that is slow there.

Products in bfloat16 are fast on a GPU from compute capability 8 on, and on a CPU with AVX512_BF16 or AMX where
TensorFlow uses oneDNN. Anything else imitates them: 7 times the CPU time of float32 was measured.
"""

from collections.abc import Iterable
from typing import cast

from sweep.config.study_settings import StudySettings
from sweep.config.training import Precision
from sweep.config.trial import TrialConfig
from sweep.engines.device import Device

SLOW = (
    "note: mixed_bfloat16 is emulated on this device, which can take 7 times as long as float32 "
    '(a CPU needs AVX512_BF16 or AMX, and oneDNN); precision = "auto" uses the faster one'
)


def fast_precision(device: Device | None, stored: StudySettings | None = None) -> Precision:
    """What "auto" means: as the study with these settings began, else what is fast on the device.

    Args:
        device: What trains; None for an engine without Keras.
        stored: The settings of a study that is resumed.

    Returns:
        mixed_bfloat16 or float32.
    """
    if stored is not None and stored.precision is not None:
        return cast(Precision, stored.precision)
    return "mixed_bfloat16" if device is not None and device.has_fast_bfloat16 else "float32"


def slow_precision_note(device: Device | None, configs: Iterable[TrialConfig]) -> str | None:
    """One line if a config asks for a precision that the device imitates, else None."""
    if device is None or device.has_fast_bfloat16:
        return None
    return SLOW if any(config.training.precision == "mixed_bfloat16" for config in configs) else None
