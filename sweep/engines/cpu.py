"""What this CPU offers TensorFlow: the kernels of oneDNN, and fast arithmetic in bfloat16.

TensorFlow reads TF_ENABLE_ONEDNN_OPTS once, when it is imported. Where the variable is unset, TensorFlow decides by the
CPU: on Linux on x86 it is on with AVX512_VNNI, AVX512_BF16, AVX_VNNI or AMX, else off. The same program gives the same
bits each time with oneDNN and without it, but not the same ones in both, so a study keeps the setting it began with.
"""

import os
import platform
import sys
from pathlib import Path

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
CPU_INFO = Path("/proc/cpuinfo")
X86 = ("x86_64", "amd64")
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})  # without them a product in bfloat16 is imitated, and slow


def cpu_flags() -> frozenset[str]:
    """The instruction sets of this CPU by the names of Linux; empty where the system does not list them."""
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").partition(":")[2].split())


def default_onednn() -> bool | None:
    """What a new study sets: on for x86. None leaves it to the user's variable, or to TensorFlow."""
    return None if ONEDNN in os.environ or platform.machine().lower() not in X86 else True


def set_onednn(wanted: bool | None) -> str:
    """Set the variable before TensorFlow is imported, None leaves it; a note if it overrules the user's value."""
    given = os.environ.get(ONEDNN)
    if wanted is None or "tensorflow" in sys.modules:
        return ""
    os.environ[ONEDNN] = str(int(wanted))
    if given is None or (given.lower() in ("1", "true")) == wanted:
        return ""
    return f"oneDNN is {'on' if wanted else 'off'} as recorded; {ONEDNN}={given} is ignored"


def is_onednn_on() -> bool:
    """Whether the imported TensorFlow uses oneDNN, whoever imported it."""
    try:
        from tensorflow.python.util._pywrap_util_port import IsMklEnabled
    except ImportError:  # no public function says it
        return os.environ.get(ONEDNN, "0").lower() in ("1", "true")
    return bool(IsMklEnabled())
