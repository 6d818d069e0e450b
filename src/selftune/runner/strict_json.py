"""JSON that every reader accepts: one object a line, no NaN, no infinity, no class of ours."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_DECODER = json.JSONDecoder(parse_constant=lambda _: None)


def plain(value: Any) -> Any:
    """What JSON can say of `value`.

    NumPy and JAX arrays become numbers or lists, NaN and infinity null; paths, functions and the rest text.
    """
    if isinstance(value, bool | int | str | None):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return plain((array.astype(float) if array.dtype.kind == "V" else array).tolist())  # V: bfloat16
    return str(value)


def line(row: Mapping[str, Any]) -> bytes:
    """One row of a `.jsonl` file, its newline included."""
    return json.dumps(row, allow_nan=False).encode() + b"\n"


def row(line: bytes) -> dict[str, Any] | None:
    """The object on one line, or None where the line is damaged; NaN and infinity, if any, are null."""
    try:
        value = _DECODER.decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
