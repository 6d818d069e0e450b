"""What can be turned in a Gymnasium environment, by name, and how.

MuJoCo            every float array of the model, such as geom_friction, body_mass, dof_damping, actuator_gear, but for
                  shapes; numbers and vectors of its options, such as opt.gravity; a part of either by name or place:
                  geom_friction.floor, opt.gravity.2
any other         numbers of the instance, such as CartPole's force_mag, Pendulum's m; upper-case numbers of its module,
                  but for those of its making alone, such as MAIN_ENGINE_POWER; the vertical gravity of a Box2D world
"""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from itertools import combinations
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from selftune.errors import SettingError


class Knob(NamedTuple):
    """One number or array of an environment."""

    own: Any
    """What it was when it was found; a number, or an array of its own."""
    turn: Callable[[Any], None]
    """Set it, to a value of the same shape."""
    read: Callable[[], Any]
    """What it is now."""
    shared: bool = False
    """Whether other environments see it too, so that it must be turned back after each step."""
    stretch: np.ndarray | None = None
    """What of the model's own memory it sets, where it is an array of MuJoCo's."""


DRAWN = ("screen_",)
"""How constants begin that only a picture sees."""

DERIVED = {
    "total_mass": ("masspole", "masscart", lambda pole, cart: pole + cart),
    "polemass_length": ("masspole", "length", lambda pole, length: pole * length),
}
"""CartPole's constants that follow from two others."""

SWITCHED = {"wind_power": "enable_wind", "turbulence_power": "enable_wind"}
"""LunarLander's constants that nothing reads unless it was made with something switched on."""

_OPTIONS = ("gravity", "wind", "magnetic", "density", "viscosity", "timestep", "impratio")
_NAMED = {"jnt": "joint", "dof": "joint", "cam": "camera", "mat": "material"}
"""How MuJoCo calls what an array's rows belong to, where that is not the first part of the array's name."""

_LOOKS = ("light_", "mat_", "cam_", "bvh_", "geom_rgba", "site_rgba", "skin_", "tex_")
"""Arrays of the model that only a picture or a search tree sees."""
_SHAPES = ("geom_size", "geom_pos", "geom_quat", "geom_rbound", "geom_aabb", "mesh_", "hfield_")
"""Arrays from which MuJoCo computes, when a model is compiled, where it looks for contacts: with other shapes in the
old bounds bodies would go through one another."""


def knobs(env: Any) -> dict[str, Knob]:
    """Everything that can be turned in an environment; parts of MuJoCo's arrays aside."""
    bare = env.unwrapped
    if _is_mujoco(bare):
        return _of_the_model(bare)
    return _constants(bare) | _attributes(bare) | _gravity(bare)


def find(env: Any, name: str, known: dict[str, Knob]) -> Knob | None:
    """The knob of a name, a part of a MuJoCo array among them.

    Raises:
        SettingError: The array has no such part.
    """
    bare, parts = env.unwrapped, name.split(".")
    field = ".".join(parts[:2]) if parts[0] == "opt" else parts[0]
    if name in known or field not in known or not _is_mujoco(bare):
        return known.get(name)
    place = tuple(_place(bare.model, field, part, axis) for axis, part in enumerate(parts[field.count(".") + 1 :]))
    try:
        own = np.array(known[field].own[place])
    except IndexError as error:
        shape = np.shape(known[field].own)
        raise SettingError(f"There is no {name!r}: {field} has the shape {list(shape)} ({error}).") from error
    array = _array(bare.model, field)
    turn, read = partial(_turn_part, array, place, _refresh(bare, field)), partial(_part, array, place)
    return Knob(own, turn, read, stretch=array[tuple(_whole(part) for part in place)])


def overlapping(found: Mapping[str, Knob]) -> tuple[str, str] | None:
    """Two knobs that set the same number of a model, if there are any: the one would undo the other."""
    arrays = [(name, knob.stretch) for name, knob in found.items() if knob.stretch is not None]
    pairs = ((one[0], other[0]) for one, other in combinations(arrays, 2) if np.shares_memory(one[1], other[1]))
    return next(pairs, None)


def _whole(place: Any) -> Any:
    """A place as a stretch, so that what it picks is a view of the array and no copy."""
    return slice(place, place + 1 or None) if isinstance(place, int) else place


def _place(model: Any, field: str, part: str, axis: int) -> Any:
    """Where in an array a part lies: a number counts, a name is looked up among what the rows belong to."""
    if part.lstrip("-").isdigit():
        return int(part)
    prefix = field.partition("_")[0]
    look_up = getattr(model, _NAMED.get(prefix, prefix), None) if axis == 0 else None
    if look_up is None:
        raise SettingError(f"Got {part!r} of {field}, expected a whole number: this axis has no names.")
    try:
        found = look_up(part)
    except KeyError as error:
        raise SettingError(f"There is no {part!r} in {field}. {error.args[0]}") from error
    return slice(int(found.dofadr[0]), int(found.dofadr[0]) + len(found.damping)) if prefix == "dof" else found.id


def _is_mujoco(bare: Any) -> bool:
    return type(getattr(bare, "model", None)).__module__.startswith("mujoco")


def _of_the_model(bare: Any) -> dict[str, Knob]:
    model, found = bare.model, {}
    for name in dir(model):
        array = None if name.startswith(("_", *_LOOKS, *_SHAPES)) else getattr(model, name)
        if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.size:
            turn = partial(_turn_part, array, (), _refresh(bare, name))
            found[name] = Knob(array.copy(), turn, array.copy, stretch=array)
    for name in _OPTIONS:
        value = getattr(model.opt, name, None)
        if isinstance(value, np.ndarray):
            turn = partial(_turn_part, value, (), _nothing)
            found[f"opt.{name}"] = Knob(value.copy(), turn, value.copy, stretch=value)
        elif isinstance(value, float):
            found[f"opt.{name}"] = Knob(value, partial(setattr, model.opt, name), partial(getattr, model.opt, name))
    return found


def _array(model: Any, field: str) -> np.ndarray:
    return getattr(model.opt, field[4:]) if field.startswith("opt.") else getattr(model, field)


def _part(array: np.ndarray, place: tuple) -> np.ndarray:
    return np.array(array[place])


def _turn_part(array: np.ndarray, place: tuple, refresh: Callable[[], None], value: Any) -> None:
    array[place or ...] = value
    refresh()


def _refresh(bare: Any, field: str) -> Callable[[], None]:
    """What must follow a new mass or place of a body: MuJoCo's constants that are derived from it (not its state)."""
    if not field.startswith(("body_", "dof_armature")):
        return _nothing
    mujoco: Any = importlib.import_module("mujoco")
    aside = mujoco.MjData(bare.model)
    return lambda: mujoco.mj_setConst(bare.model, aside)


def _nothing() -> None:
    pass


def _attributes(bare: Any) -> dict[str, Knob]:
    """Numbers of the instance, or of its class, which the instance then overrides."""
    found = {}
    for name in dir(bare):
        kind = getattr(type(bare), name, None)
        idle = name in SWITCHED and not getattr(bare, SWITCHED[name], True)
        if name.startswith(("_", *DRAWN)) or isinstance(kind, property) or name in DERIVED or idle:
            continue
        value = getattr(bare, name)
        if _number(value):
            found[name] = Knob(value, partial(_turn_attribute, bare, name), partial(getattr, bare, name))
        elif isinstance(value, list) and value and all(map(_number, value)):
            found[name] = Knob(np.array(value), partial(_turn_list, bare, name), partial(_list, bare, name))
    return found


def _turn_attribute(bare: Any, name: str, value: Any) -> None:
    setattr(bare, name, value)
    for derived, (left, right, follow) in DERIVED.items():
        if name in (left, right) and all(hasattr(bare, known) for known in (derived, left, right)):
            setattr(bare, derived, follow(getattr(bare, left), getattr(bare, right)))


def _turn_list(bare: Any, name: str, value: np.ndarray) -> None:
    setattr(bare, name, value.tolist())


def _list(bare: Any, name: str) -> np.ndarray:
    return np.array(getattr(bare, name))


def _constants(bare: Any) -> dict[str, Knob]:
    """Upper-case numbers of the module in which the environment is written, but for those of its making alone."""
    module = sys.modules[type(bare).__module__]
    idle = _read_at_the_making(module, {kind.__name__ for kind in type(bare).__mro__})
    found = {name: value for name, value in vars(module).items() if name.isupper() and _number(value)}
    return {
        name: Knob(value, partial(setattr, module, name), partial(getattr, module, name), shared=True)
        for name, value in found.items()
        if name not in idle
    }


def _read_at_the_making(module: ModuleType, kinds: Set[str]) -> set[str]:
    """Names that a module reads, and only as it is imported or in the `__init__` of one of these classes."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return set()
    reads = list(_reads(tree, kinds, False))
    return {name for name, _ in reads} - {name for name, running in reads if running}


def _reads(node: ast.AST, kinds: Set[str], running: bool) -> Iterator[tuple[str, bool]]:
    """Each name that is read below a node, and whether a function reads it that may run later."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            yield child.id, running
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        making = isinstance(node, ast.ClassDef) and node.name in kinds and getattr(child, "name", "") == "__init__"
        yield from _reads(child, kinds, running or (function and not making))


def _gravity(bare: Any) -> dict[str, Knob]:
    """The vertical gravity of a Box2D world, which some environments make anew in each episode from an attribute."""
    if getattr(getattr(bare, "world", None), "gravity", None) is None:
        return {}

    def read() -> float:
        return float(bare.world.gravity[1])

    def turn(value: Any) -> None:
        bare.world.gravity = (bare.world.gravity[0], float(value))
        if hasattr(bare, "gravity"):
            bare.gravity = float(value)

    return {"gravity": Knob(read(), turn, read)}


def _number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
