"""The layers of the design hold: imports go down only, and no objective cuts a gradient."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "selftune"

LAYERS = [
    {"types", "errors", "spaces", "_tree"},
    {"metaparams", "objectives", "optim", "learning"},
    {"estimators"},
    {"tuning", "guards"},
    {"networks", "envs"},
    {"agents"},
    {"runner"},
    {"experiments", "scenarios"},
    {"cli"},
    {"__main__"},
]
"""From the ground up; `__init__` stands above all of them."""

APART = LAYERS[1]
"""Do not import one another."""

NEVER = {"agents": {"envs"}}
"""Lower layers that must not be imported all the same."""

READ_RUN_FOLDERS_ONLY = {"reporting", "series", "telling", "figures", "axes", "readable", "terminal_charts"}
"""Modules of `runner` that know a run by its folder: they import no layer between the ground and the runner."""

LEVEL = {unit: level for level, units in enumerate(LAYERS) for unit in units}


def imports(tree: ast.Module, package: tuple[str, ...]) -> Iterator[str]:
    """Dotted names of everything that is imported from selftune, wherever in the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{origin}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "selftune")


def violations(source: Path) -> list[str]:
    """What breaks the layers in a tree of modules, one sentence each."""
    found = []
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        unit = parts[0]
        if parts == ("__init__",):
            continue
        tree = ast.parse(path.read_text())
        where = "/".join(parts)
        if unit not in LEVEL:
            found.append(f"{where}: {unit} has no place in the layers")
            continue
        for name in imports(tree, ("selftune", *parts[:-1])):
            target = name.split(".")[1] if "." in name else ""
            if target == unit or target not in LEVEL:
                if target not in LEVEL and target != "__version__":
                    found.append(f"{where}: imports {name}, which has no place in the layers")
                continue
            if LEVEL[target] > LEVEL[unit]:
                found.append(f"{where}: imports {name}, upwards")
            if {unit, target} <= APART:
                found.append(f"{where}: imports {name}, its neighbour")
            if target in NEVER.get(unit, set()):
                found.append(f"{where}: imports {name}, which {unit} never may")
            if unit == "runner" and parts[-1] in READ_RUN_FOLDERS_ONLY and LEVEL[target] > 0:
                found.append(f"{where}: imports {name}, and reads run folders only")
        if unit in {"objectives", "agents"}:
            found += [f"{where}: cuts a gradient with {cut}" for cut in cuts(tree)]
    return found


def cuts(tree: ast.Module) -> list[str]:
    """Calls that no gradient passes, `stop_gradient` and what stands for it here."""
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return sorted(names & {"stop_gradient", "constant"})


def test_the_package_keeps_its_layers():
    assert violations(SOURCE) == []


def test_everything_in_the_package_was_looked_at():
    units = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or path.is_dir()} - {"__init__"}
    assert len(units & set(LEVEL)) >= 12


BROKEN = {
    "upwards": ("estimators/problem.py", "from selftune.tuning import tuner"),
    "upwards inside a function": ("types.py", "def f():\n    import selftune.metaparams.scopes"),
    "upwards as a module": ("envs/host.py", "from selftune import runner"),
    "upwards, relative": ("envs/host.py", "from ..agents import a2c"),
    "upwards, relative and bare": ("envs/host.py", "from .. import agents"),
    "neighbours": ("learning/inner_loop.py", "from selftune.optim import adam"),
    "agents and environments": ("agents/a2c.py", "from selftune.envs import make"),
    "agents and the runner": ("agents/a2c.py", "import selftune.runner"),
    "a report that trains": ("runner/reporting.py", "from selftune.agents import a2c"),
    "a cut": ("objectives/returns.py", "import jax\nf = jax.lax.stop_gradient"),
    "a cut by another name": ("agents/a2c.py", "from selftune import _tree\nf = _tree.constant"),
    "a module without a place": ("helpers.py", ""),
    "the top": ("runner/train.py", "from selftune import train"),
}


@pytest.mark.parametrize(("path", "code"), BROKEN.values(), ids=BROKEN)
def test_each_kind_of_break_is_found(tmp_path, path, code):
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(code)
    assert len(violations(tmp_path)) == 1


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("tuning/outer_loop.py", "from selftune.guards import numeric\nfrom selftune import _tree, __version__"),
        ("runner/training.py", "from selftune.agents import a2c\nfrom .run_folder import RunFolder"),
        ("runner/reporting.py", "from selftune.errors import SettingError\nfrom selftune.runner.series import thin"),
        ("optim/rules.py", "import optax\nfrom selftune.optim._numerics import safe_sqrt"),
        ("__init__.py", "from selftune.cli import main"),
    ],
)
def test_what_goes_down_is_allowed(tmp_path, path, code):
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(code)
    assert violations(tmp_path) == []
