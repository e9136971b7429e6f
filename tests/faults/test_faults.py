"""A quick slice of every fault; `python tests/faults/run.py` injects them by the hundred."""

import pytest
from faults.fault import Fault, all_faults

QUICK = [fault for fault in all_faults() if fault.quick]


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name.replace(" ", "_"))
def test_nothing_is_violated(fault: Fault, tmp_path):
    assert fault.run(fault.quick, 0, tmp_path) == []
