"""A quick slice of every fault; `python tests/faults/run.py` injects them by the hundred."""

import pytest
from faults.fault import Fault, all_faults, inject

QUICK = [
    pytest.param(fault, id=fault.name.replace(" ", "_"), marks=[getattr(pytest.mark, need) for need in fault.needs])
    for fault in all_faults()
    if fault.quick
]


@pytest.mark.parametrize("fault", QUICK)
def test_nothing_is_violated(fault: Fault, tmp_path):
    reason = fault.missing()
    if reason is not None:
        pytest.skip(reason)
    assert inject(fault, fault.quick, 0, tmp_path) == []
