"""Packages that not everybody needs: imported when they are, and asked for by name when they are missing."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType

from selftune.errors import MissingExtraError, SelftuneError, SettingError


def require(module: str, extra: str) -> ModuleType:
    """Import a module that comes with an extra.

    Args:
        module: Its full name, such as "brax.envs".
        extra: Which extra of selftune installs it.

    Raises:
        MissingExtraError: It, or a package that it needs, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f'{module} cannot be imported ({error}). To go on: pip install "selftune[{extra}]"'
        ) from error


def require_installed(package: str, extra: str) -> None:
    """Whether a package is there, without importing it: nothing is said if so.

    Raises:
        MissingExtraError: It is not installed.
    """
    if find_spec(package) is None:
        raise MissingExtraError(f'{package} is not installed. To go on: pip install "selftune[{extra}]"')


@contextmanager
def making(name: str) -> Iterator[None]:
    """What goes wrong as a suite makes an environment, in our words.

    Args:
        name: The environment's, such as "gymnax:CartPole-v1".

    Raises:
        MissingExtraError: A package, or a library of the system, is not installed.
        SettingError: Anything else that is not said in our words yet.
    """
    try:
        yield
    except SelftuneError:
        raise
    except ImportError as error:
        raise MissingExtraError(f"{name} cannot be made ({error}). To go on: install what it needs.") from error
    except Exception as error:
        raise SettingError(
            f"{name} could not be made ({type(error).__name__}: {error}), expected an environment that its suite can "
            "make here. Mend what it names, or give another one."
        ) from error
