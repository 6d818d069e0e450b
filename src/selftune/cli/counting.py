"""Whole numbers as people write them: 400000, 400_000 or 4e5."""

from collections.abc import Sequence
from typing import Annotated, Any

from tyro.constructors import PrimitiveConstructorSpec


def count(texts: Sequence[str]) -> int:
    """The number that a word says.

    Raises:
        ValueError: It says none, or one that is not whole.
    """
    try:
        try:
            return int(texts[0])
        except ValueError:
            number = float(texts[0])
            if number.is_integer():
                return int(number)
            raise
    except ValueError:
        raise ValueError(f"got {texts[0]!r}, expected a whole number, such as 400000, 400_000 or 4e5") from None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int)


Count = Annotated[
    int,
    PrimitiveConstructorSpec(
        nargs=1, metavar="INT", instance_from_str=count, is_instance=_is_whole, str_from_instance=lambda n: [str(n)]
    ),
]
"""An `int` on the command line."""
