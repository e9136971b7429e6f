"""`[data]`: which images, how they are split and scaled."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from sweep.config.section import Fraction, Positive, Section

DEFAULT_VALIDATION_FRACTION = 0.2


class DataConfig(Section):
    """Which images, how they are split and scaled. Counts are images; fractions are of what is split."""

    name: Literal["digits", "mnist", "npz"] = "digits"
    path: str | None = None
    test_fraction: Fraction = 0.2  # only for data that brings no test set of its own
    validation_fraction: Fraction = DEFAULT_VALIDATION_FRACTION
    num_train: Positive | None = None
    num_validation: Positive | None = None
    validation: Literal["split", "test"] = "split"  # "test": the test set, as in the articles; never in a sweep
    num_folds: Annotated[int, Field(ge=2, lt=2**31)] | None = None
    fold: Positive | None = None  # of `num_folds`, 1 for the first: the validation part, all else is trained on
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    scaling: Literal["unit", "standard", "none"] = "unit"  # "none": the model gets raw values, as float32
    train_on: Literal["train", "train+validation"] = "train"  # the second leaves no validation part: for retrain

    @field_validator("name", mode="before")
    @classmethod
    def _is_no_file(cls, name: Any) -> Any:
        if isinstance(name, str) and name.endswith((".npz", ".npy")):
            raise ValueError(f'a file of yours is written as name = "npz" and path = "{name}"')
        return name

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Self:
        if self.name == "npz" and self.path is None:
            raise ValueError('name = "npz" needs path = "my_images.npz"')
        if self.validation == "test" and self.train_on != "train":
            raise ValueError('validation = "test" splits nothing off, so train_on = "train" is all that is not test')
        if (self.fold is None) != (self.num_folds is None) or (self.fold or 0) > (self.num_folds or 0):
            raise ValueError("fold = 1 to num_folds; give both, or none of them")
        if self.name == "digits" and self.path is not None:
            raise ValueError("path has no effect: digits comes with scikit-learn; remove it or change name")
        return self

    @model_validator(mode="after")
    def _validation_part_is_said_once(self) -> Self:
        if self.validation == "test" and self.num_folds is not None:
            raise ValueError('folds have no effect with validation = "test"; remove one of them')
        for key in ("num_validation", "validation_fraction"):
            is_given = key in self.model_fields_set and getattr(self, key) not in (None, DEFAULT_VALIDATION_FRACTION)
            if is_given and self.num_folds is not None:
                raise ValueError(f"{key} has no effect: a fold is the validation part; remove it")
            if is_given and self.validation == "test":
                raise ValueError(f'{key} has no effect with validation = "test"; remove it')
        return self
