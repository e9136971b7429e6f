"""Images and labels: where they come from, how they are split and scaled. A sweep never reads the test part."""

from sweep.data.class_counts import ClassCounts, class_counts
from sweep.data.dataset import Dataset, load, load_raw_test
from sweep.data.scaling import Scaling
from sweep.data.sources import PoolKey, RawPool, give_pools, pool_key, read_pool

__all__ = [
    "ClassCounts",
    "Dataset",
    "PoolKey",
    "RawPool",
    "Scaling",
    "class_counts",
    "give_pools",
    "load",
    "load_raw_test",
    "pool_key",
    "read_pool",
]
