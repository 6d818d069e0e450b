"""What a loss says, and whether it is what a loss can say: one number, and whatever is to be told beside it."""

from typing import Any

import numpy as np

from selftune.errors import SettingError, did_you_mean
from selftune.types import Batch, Eta, Frozen, Loss, Params, Scalar


def judged(loss: Loss, params: Params, frozen: Frozen, eta: Eta, batch: Batch) -> tuple[Scalar, Any]:
    """What a loss says, inner or outer.

    Raises:
        SettingError: It is not a pair, or its value is not one number.
    """
    try:
        told = loss(params, frozen, eta, batch)
    except KeyError as error:
        error.add_note(f"In the loss. If that was asked of eta: it holds {', '.join(sorted(eta))}.")
        raise
    if not isinstance(told, tuple) or len(told) != 2:
        raise SettingError(
            f"The loss returned a {type(told).__name__}; expected a pair `(value, aux)`. Where nothing is to be told "
            "beside the value: `return value, {}`."
        )
    if np.ndim(told[0]):
        raise SettingError(
            f"The loss returned a value of the shape {np.shape(told[0])}; expected one number: take its mean or sum."
        )
    return told


def entry(aux: Any, name: str) -> Any:
    """What a rule needs of what a loss told beside its value.

    Raises:
        SettingError: It is not there.
    """
    try:
        return aux[name] if isinstance(aux, dict) else getattr(aux, name)
    except (KeyError, AttributeError):
        known = aux if isinstance(aux, dict) else getattr(aux, "_fields", ())
        raise SettingError(
            f"The rule needs {name!r} from the loss's aux, which has it not; {did_you_mean(name, known)}"
        ) from None
