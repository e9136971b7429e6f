"""Images and labels: where they come from, how they are split and scaled. A sweep never reads the test part."""

from sweep.data.arrays import Arrays, Source
from sweep.data.class_counts import ClassCounts, class_counts
from sweep.data.contact_sheet import save_contact_sheet
from sweep.data.dataset import Dataset, check_content, clear_cache, content_hashes, load, load_raw_test
from sweep.data.duplicates import Duplicates, find_duplicates
from sweep.data.reading import PoolKey, RawPool, pool_key, read_pool, set_pools
from sweep.data.scaling import Scaling

__all__ = [
    "Arrays",
    "ClassCounts",
    "Dataset",
    "Duplicates",
    "PoolKey",
    "RawPool",
    "Scaling",
    "Source",
    "check_content",
    "class_counts",
    "clear_cache",
    "content_hashes",
    "find_duplicates",
    "load",
    "load_raw_test",
    "pool_key",
    "read_pool",
    "save_contact_sheet",
    "set_pools",
]
