"""Whose code an environment's name would execute, where a file says the name and nobody else did.

`my_envs:Corridor-v0` imports `my_envs`. On the command line and in a program that is asked for. In a run's folder,
which may be a stranger's, it is not: there a module counts that was imported before, or is installed; one that lies in
the current folder, beside whatever was unpacked there, does not.
"""

import importlib
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from selftune.errors import MissingExtraError, RunFolderError

SUITES = ("gymnax", "brax", "envpool")
"""Prefixes that name no module of one's own."""


def import_asked(modules: tuple[str, ...]) -> None:
    """Import what somebody named.

    Raises:
        MissingExtraError: There is no such module, or it needs one that there is not.
    """
    for name in modules:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise MissingExtraError(
                f"--imports {name}: {error}. Expected a module in this folder, on PYTHONPATH or installed, as `import` "
                "names it."
            ) from error


def refuse_unasked(env: str) -> None:
    """Refuse an environment that a file names and whose module only the current folder has.

    Raises:
        RunFolderError: Its module would be executed, and nobody asked for that.
    """
    module, _, _ = env.rpartition(":")
    top = module.partition(".")[0]
    if not top or top in SUITES or top in sys.modules or _installed(top):
        return
    raise RunFolderError(
        f"config.json says that the environment is {env!r}, whose module {module!r} is not installed. Reading a run "
        f"executes nothing that lies beside it; if you trust {module}.py, say so: `--imports {module}`, or in Python "
        f"`import {module}` before."
    )


def _installed(top: str) -> bool:
    """Whether a module is found anywhere but in the current folder."""
    here = Path.cwd()
    elsewhere = [place for place in sys.path if Path(place).resolve() != here]
    others = [finder for finder in sys.meta_path if finder is not PathFinder]
    return PathFinder.find_spec(top, elsewhere) is not None or any(
        finder.find_spec(top, None) is not None for finder in others
    )
