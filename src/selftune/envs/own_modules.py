"""Whose code an environment's name would execute, where a file says the name and nobody else did.

`my_envs:Corridor-v0` imports `my_envs`. On the command line and in a program that is asked for. In a run's folder,
which may be a stranger's, it is not: there a module counts that was imported before, or that lies elsewhere than in the
current folder, beside whatever was unpacked there.
"""

import importlib
import os
import shlex
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from selftune.errors import MissingExtraError, RunFolderError

SUITES = ("gymnax", "brax", "envpool")
"""Prefixes that an extra installs."""


def look_here() -> None:
    """Let imports find, last of all, what lies in the current folder: somebody has named it."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def import_asked(modules: tuple[str, ...]) -> None:
    """Import what somebody named, from the current folder too.

    Raises:
        MissingExtraError: There is no such module, or it needs one that there is not.
    """
    for name in modules:
        look_here()
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingExtraError(
                f"--imports {name}: {error}. Expected a module in this folder, on PYTHONPATH or installed, as `import` "
                "names it."
            ) from error


def refuse_unasked(env: str) -> None:
    """Refuse an environment that a file names and whose module an import would take from the current folder.

    Raises:
        RunFolderError: Its module would be executed, and nobody asked for that.
    """
    module = env.rpartition(":")[0] or ("ale_py" if env.startswith("ALE/") else "")
    top = module.partition(".")[0]
    if not top or module in sys.modules or getattr(sys.modules.get(top), "__file__", None):
        return
    spec = find_spec(top)  # a package without a file of its own lies in several places
    if spec is None and (top in SUITES or not env.rpartition(":")[0]):
        return  # the extra that installs it is named where it is opened
    if spec is None or _lies_here(top):
        raise RunFolderError(
            f"config.json says that the environment is {env!r}, whose module {module!r} is not installed. Reading a "
            f"run executes nothing that lies beside it; if you trust {module}, say so: `--imports {module}`, or in "
            f"Python `import {module}` before."
        )


def resume_command(folder: Path | str, env: str) -> str:
    """The line that takes up a run, with the environment's module where it lies in the current folder."""
    module = env.rpartition(":")[0]
    named = ["--imports", module] if module and _lies_here(module) else []
    return shlex.join(["selftune", "resume", str(folder), *named])


def _lies_here(module: str) -> bool:
    with suppress(ImportError, ValueError):
        spec = find_spec(module.partition(".")[0])
        return spec is not None and any(map(_is_here, spec.submodule_search_locations or [spec.origin or ""]))
    return False


def _is_here(place: str) -> bool:
    """Whether a module's file, or a package's folder, lies in the current folder."""
    try:
        return Path(place).resolve().parent == Path.cwd()
    except OSError:  # a current folder that is gone holds nothing
        return False
