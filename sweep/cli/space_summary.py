"""Print what `sweep check` shows: fixed values, parameters, keys at their defaults, and sampled configs."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.cli.data_summary import print_data, write_contact_sheet
from sweep.config.families import family_keys
from sweep.config.trial import SECTIONS, TrialConfig, section_keys
from sweep.data import Dataset, load
from sweep.engines.devices import import_keras, quiet_stderr
from sweep.errors import InputError, SpaceError, ends_process
from sweep.models.probe import probe_metrics
from sweep.plugins.user_code import code_of
from sweep.space.checks import check_data
from sweep.space.functions import check_calls
from sweep.space.points import size_line
from sweep.space.runs import derived_seed
from sweep.space.space import Space
from sweep.text import error_line, make_console, shown_params
from sweep.tuning.pruners import build_pruner, check_reports
from sweep.tuning.samplers import sampler_factory


def print_space(space: Space) -> None:
    """Print the objectives, the fixed values, the parameters, and the keys at their defaults.

    Raises:
        SpaceError: The sampler or the pruner cannot be used with the space.
    """
    console = make_console()
    runs = f" of {space.plan.num_runs} runs" if space.plan.num_runs > 1 else ""
    goal = f"{space.goal}, {space.study.num_trials} trials{runs}"
    console.print(Text(f"{space.source}: study {space.study.name}, {goal}, space hash {space.fingerprint}"))
    console.print(Text(f"sampler {space.sampler.name}; pruner {space.pruner.name}"))
    sampler_factory(space, 0)  # raises SpaceError, as for a grid sampler over a continuous parameter
    check_reports(space)
    size = size_line(space, space.study.num_trials)
    if size is not None:
        console.print(Text(size))
    if space.function is not None:
        console.print(Text(f"calls {space.function}"))
    for section in SECTIONS:
        fixed = space.fixed.get(section)
        if fixed:
            console.print(Text(f"fixed   [{section}] " + ", ".join(f"{key} = {value}" for key, value in fixed.items())))
    console.print(_varied_table(space))
    if space.function is None:
        _print_defaults(space, console)


def _print_defaults(space: Space, console: Console) -> None:
    varied = {str(parameter.key) for parameter in space.parameters.values()}
    keys = section_keys()
    keys["model"] = sorted(set().union(*(family_keys(config.model.family) for config in space.extreme_configs())))
    for section in SECTIONS:
        left = [key for key in keys[section] if key not in space.fixed.get(section, {})]
        left = [key for key in left if not any(f"{section}.{key}" in name for name in varied)]
        console.print(Text(f"default [{section}] {', '.join(left)}", style="dim"))


def print_samples(space: Space, num_samples: int, seed: int, contact_sheet: Path | None = None) -> None:
    """Load the data, and build the model of each randomly sampled config.

    Args:
        space: The space.
        num_samples: Number of configs to sample.
        seed: Seed of the samples.
        contact_sheet: File to write a picture of training images to.

    Raises:
        InputError: The picture cannot be written.
        SpaceError: A model cannot be built, or does not fit the data.
        DataError: The data cannot be read or split.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler_factory(space, seed)
    build_pruner(space)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    if space.user_code:
        print(f"this runs your code: {code_of(*space.user_code)}", flush=True)
    if space.function is not None:
        _check_function(space)
        for number in range(num_samples):
            print(f"sample {number}: {shown_params(space.suggest(study.ask()))}")
        return
    data = space.data_configs()[0]
    dataset = load(data)
    check_data(space, dataset.image_shape, dataset.class_names)
    print_data(data, dataset)
    if contact_sheet is not None:
        write_contact_sheet(dataset, contact_sheet)
    probe_metrics(next(space.extreme_configs()))
    with quiet_stderr():
        import_keras()

    for number in range(num_samples):
        params = space.suggest(study.ask())
        config = space.resolve(params, derived_seed(seed, number)).with_precision(
            "float32"
        )  # which has the same number of weights
        print(f"sample {number}: {_count_weights(space.source, config, dataset):,} weights; {shown_params(params)}")


def _check_function(space: Space) -> None:
    """Import a user's function, which runs its module, and check its parameters."""
    assert space.function is not None
    check_calls(space.function, space.function_calls(), prunes=space.pruner.name != "none")


def _count_weights(source: str, config: TrialConfig, dataset: Dataset) -> int:
    from sweep.models.build import build_checked

    try:
        return int(build_checked(config, dataset).count_params())
    except InputError:
        raise
    except BaseException as error:  # a user's builder may raise anything
        if ends_process(error):
            raise
        summary = error_line(error)
        raise SpaceError(f"{source}: the model cannot be built: {summary}") from None


def _varied_table(space: Space) -> Table:
    table = Table("parameter", "key", "values", "when", box=None, pad_edge=False)
    for name, parameter in space.parameters.items():
        shown = parameter.model_dump(exclude={"key", "when", "type"}, exclude_none=True)
        values = ", ".join(f"{key} {value}" for key, value in shown.items() if value is not False)
        when = ", ".join(f"{key} in {choices}" for key, choices in (parameter.when or {}).items())
        table.add_row(Text(name), Text(parameter.key or "-"), Text(f"{parameter.type}: {values}"), Text(when))
    return table
