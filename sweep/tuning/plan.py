"""Make the `RunPlan` of a sweep from options, space, stored settings and the result of a probe, by a pure function."""

from dataclasses import dataclass, replace

from sweep.config.study_settings import StudySettings
from sweep.engines.auto import DeviceKind, EngineChoice, Situation, choose
from sweep.engines.device import Device
from sweep.engines.placed import STREAMED
from sweep.engines.precision import fast_precision
from sweep.errors import InputError
from sweep.models.cost import largest_cost
from sweep.models.lane_support import all_without_lanes
from sweep.options import AUTO, RunOptions
from sweep.space.points import num_trials_at_most
from sweep.space.space import Space
from sweep.tuning.probing import Probe
from sweep.tuning.samplers import INDEPENDENT

GIB = 2**30


@dataclass(frozen=True)
class RunPlan:
    """What a sweep will do.

    Attributes:
        space: The space, with an explicit precision in place of "auto".
        settings: The settings that are stored with the study, and compared on resume.
        choice: Engine and number of lanes, and the reason.
        num_trials: Total number of finished trials.
        probe: The probe that the plan was made from.
    """

    space: Space
    settings: StudySettings
    choice: EngineChoice
    num_trials: int
    probe: Probe

    @property
    def device(self) -> Device | None:
        """Return the device that trains; None for an engine without Keras."""
        return self.probe.device

    @property
    def needs_device(self) -> bool:
        """Return whether the engine trains with Keras."""
        return self.choice.engine not in ("fake", "function")


def plan(options: RunOptions, space: Space, stored: StudySettings | None, probe: Probe) -> RunPlan:
    """Make a plan: each setting is that of the options, else the stored one, else the automatic choice or the default.

    The setup of the device depends on the engine, and the number of lanes on the device. So a sweep makes a plan for a
    CPU, sets up the device for its engine, and makes the final plan with the device in the probe.

    Args:
        options: The requested options.
        space: The space.
        stored: The settings that are stored with the study; None for a new study.
        probe: Data, resources and device.

    Returns:
        The plan.

    Raises:
        InputError: The requested engine or number of lanes cannot be used.
    """
    threads, device = probe.resources.threads, probe.device.kind if probe.device else "none"
    if space.function is not None:
        threads, device = _function_resources(options, stored)
    num_trials = options.trials or space.study.num_trials
    choice = _choose_engine(options, space, stored, probe)
    space = space.with_precision(fast_precision(probe.device, stored))
    settings = StudySettings(
        space=space.record(),
        sampler=space.sampler.model_dump(),
        pruner=space.pruner.record(),
        seed=space.study.seed if options.seed is None else options.seed,
        data_hash=probe.data.content_hash,
        engine=choice.engine,
        num_lanes=choice.num_lanes,
        threads=threads,
        device=device,
        keras_backend=probe.device.keras_backend if probe.device else "none",
        num_workers=probe.num_workers,
        classes=probe.data.classes,
        onednn=probe.device.onednn if probe.device else None,
        versions=probe.versions,
        command=options.command,
        code=probe.code,
    )
    if stored is not None and stored.onednn is None:
        settings = replace(settings, onednn=None)
    return RunPlan(space, settings, choice, num_trials, probe)


def check_function_options(options: RunOptions, space: Space) -> None:
    """Raise InputError for options that have no effect on a function, which may contain a training loop or not."""
    engine, device = options.engine.engine, options.device
    has_no_effect = {
        f"--engine {engine}": engine is not None,
        "--gpu-memory-gb": device.gpu_memory_gb is not None,
        f"--device {device.device}": device.device != AUTO and not space.is_own_function,
        "--threads": device.threads is not None and not space.is_own_function,
        "--gpus": bool(options.workers.gpus) and not space.is_own_function,
    }
    for flag, is_given in has_no_effect.items():
        if is_given and space.is_own_function:
            raise InputError(f"{flag}: {space.function} trains by itself; remove it")
        if is_given:
            raise InputError(f"{flag}: study.function is called and nothing is trained; remove it")


def _function_resources(options: RunOptions, stored: StudySettings | None) -> tuple[int, str]:
    """Return the threads (0: not limited) and the kind of device of a function: as requested, else as stored."""
    threads = options.device.threads or (stored.threads if stored is not None else 0)
    device = options.device.device
    if device == AUTO:
        return threads, stored.device if stored is not None else "none"
    return threads, device.partition(":")[0]


def _choose_engine(options: RunOptions, space: Space, stored: StudySettings | None, probe: Probe) -> EngineChoice:
    """Choose engine and lanes: the stored ones, unless others are requested, which a study without trials allows."""
    engine, lanes = options.engine.engine, options.engine.lanes
    if space.function is not None:
        stored_lanes = stored.num_lanes if stored is not None else 1
        return EngineChoice("function", lanes or stored_lanes, f"calls {space.function}")
    if stored is not None and engine in (None, stored.engine) and lanes in (None, stored.num_lanes):
        return EngineChoice(stored.engine, stored.num_lanes, "as stored with the study")
    if space.is_timed and lanes is None:
        return EngineChoice(
            engine or "sequential", 1, "an objective is a timing, so nothing else trains at the same time"
        )
    wanted = engine or (stored.engine if stored is not None else None)
    return choose(_situation(options, space, probe), wanted, lanes)


def _situation(options: RunOptions, space: Space, probe: Probe) -> Situation:
    """Return what the engine is chosen by, for one process. The device is a CPU until a probe has found another one.

    A GPU's memory is known only if a limit is set.
    """
    device = probe.device
    device_kind: DeviceKind = "gpu" if device is not None and device.kind == "gpu" else "cpu"
    gpu_memory_gb = options.device.gpu_memory_gb
    gpu_memory_bytes = None if gpu_memory_gb is None else round(gpu_memory_gb * GIB)
    num_trials = num_trials_at_most(space, options.trials or space.study.num_trials)
    return Situation(
        cost=largest_cost(space, probe.data.image_shape, probe.data.num_classes),
        device_kind=device_kind,
        threads=probe.resources.threads,
        memory_bytes=probe.resources.memory_bytes if device_kind == "cpu" else gpu_memory_bytes,
        num_trials=-(-num_trials // probe.num_processes),
        keras_backend=device.keras_backend if device else "tensorflow",
        is_adaptive=space.sampler.name not in INDEPENDENT or space.pruner.name != "none",
        without_lanes=(*all_without_lanes(space.extreme_configs()), *((STREAMED,) if probe.data.is_streamed else ())),
    )
