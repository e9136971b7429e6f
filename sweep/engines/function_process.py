"""Sets a process up for a user's function, before the libraries that the function trains with are imported."""

import os
from collections.abc import Collection, Iterable

from sweep.space.functions import check_calls

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
GPUS = "CUDA_VISIBLE_DEVICES"


def prepare_function(
    function: str, calls: Iterable[Collection[str]], *, prunes: bool, device: str = "auto", threads: int = 0
) -> None:
    """Limit what the function's libraries use of the machine, then import it and check that it can be called.

    Args:
        function: A built-in name, or `module:function`.
        calls: The sets of parameter names that trials have.
        prunes: Whether there is a pruner.
        device: `cpu` hides all GPUs, and `gpu:N` all but one; `auto` hides none.
        threads: CPU threads of TensorFlow, PyTorch and NumPy; 0 leaves that to them.

    Raises:
        SpaceError: The function cannot be imported or called.
    """
    os.environ.update(_environment(device, threads))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of TensorFlow, whose messages would hide the progress
    if threads:
        from threadpoolctl import threadpool_limits

        threadpool_limits(threads)  # of what is loaded already, such as NumPy's
    check_calls(function, calls, prunes=prunes)


def _environment(device: str, threads: int) -> dict[str, str]:
    kind, _, number = device.partition(":")
    gpus = {GPUS: "-1" if kind == "cpu" else number} if kind == "cpu" or number else {}
    return {**gpus, **(dict.fromkeys(THREADS, str(threads)) if threads else {})}
