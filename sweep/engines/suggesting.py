"""The suggest methods of a user's trial: of parameters of the space, or asked of the study while the function runs."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any


class Suggesting(ABC):
    """Has the signatures of `optuna.Trial`."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Suggest a float, as Optuna does."""
        return float(
            self._suggest(name, {"type": "float", "low": float(low), "high": float(high), "step": step, "log": log})
        )

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Suggest an integer, as Optuna does."""
        return int(self._suggest(name, {"type": "int", "low": int(low), "high": int(high), "step": step, "log": log}))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Suggest one of the choices, as Optuna does.

        Raises:
            TypeError: A choice is not None, a bool, an int, a float or a str.
        """
        choices = [*choices]
        strange = next((choice for choice in choices if not isinstance(choice, bool | int | float | str | None)), None)
        if strange is not None:
            raise TypeError(f"choices of {name} must be None, bool, int, float or str, got {strange!r:.100}")
        return self._suggest(name, {"type": "categorical", "choices": choices})

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        """Suggest a float; older programs use this name."""
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        """Suggest a float in the log domain; older programs use this name."""
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        """Suggest a float on a grid; older programs use this name."""
        return self.suggest_float(name, low, high, step=q)

    @abstractmethod
    def _suggest(self, name: str, distribution: dict[str, Any]) -> Any:
        """Return the value of a parameter with this distribution."""
