"""A module a source, named as `[data] name` names it; its `load` is a `sweep.data.arrays.Source`."""
