"""Images and labels: where they come from, how they are split and scaled. A sweep never reads the test part."""

from sweep.data.arrays import Arrays, Source
from sweep.data.class_counts import ClassCounts, class_counts
from sweep.data.dataset import Dataset, check_content, contents, forget, load, load_raw_test
from sweep.data.reading import PoolKey, RawPool, give_pools, pool_key, read_pool
from sweep.data.scaling import Scaling

__all__ = [
    "Arrays",
    "ClassCounts",
    "Dataset",
    "PoolKey",
    "RawPool",
    "Scaling",
    "Source",
    "check_content",
    "class_counts",
    "contents",
    "forget",
    "give_pools",
    "load",
    "load_raw_test",
    "pool_key",
    "read_pool",
]
