"""What `selftune agents` prints: the agents, and all that can be said of one on the command line."""

import ast
import inspect
import itertools
import textwrap
from collections.abc import Callable
from dataclasses import fields

from rich.console import Group
from rich.table import Table

from selftune.agents import Agent
from selftune.agents.catalogue import AGENTS
from selftune.agents.tuners import DEFAULT, TUNERS, recipe_for
from selftune.agents.vocabulary import VOCABULARY
from selftune.errors import UnsupportedSpaceError
from selftune.metaparams import tuned, values
from selftune.runner.asked import as_typed
from selftune.runner.plan import agent_named
from selftune.spaces import Box, Discrete

SPACES = Box((4,)), (Discrete(2), Box((1,), low=(-1.0,), high=(1.0,)))
"""What an example of an agent sees, and what it may do: the first of these that it does not refuse."""


EXPLAINED = """* tuned unless --tune says otherwise
° brought home by a leak, and moved by its gradient only where --tune names it (not by naming all that is tuned anyway)
a → b: starts at a and is drawn to b where it is tuned; is b where it is not
with actions to choose from (Discrete), where the agent takes such actions
"""


def agents_listing() -> Table:
    """A table of agents."""
    table = Table("agent", "is", "tunes by itself (°: by a leak alone)", box=None, padding=(0, 2, 0, 0))
    for name, (make, _) in AGENTS.items():
        told = inspect.getdoc(make) or ""
        recipe = recipe_for(DEFAULT, name)
        tunes = (f"{each}°" if each in recipe.homing else each for each in recipe.tune)
        table.add_row(name, told.split("\n\n")[0].replace("\n", " "), ", ".join(tunes))
    return table


def agent_listing(name: str) -> Group:
    """Everything about one agent: metaparameters for --init and --tune, settings for --set, tuners for --tuner.

    Raises:
        SettingError: There is no such agent.
    """
    make, default = agent_named(name)
    agent = _example(make)
    spec = agent.spec
    starts, learned, homing = values(spec), tuned(spec), recipe_for(DEFAULT, name).homing
    numbers = _table("metaparameter (--init, --tune)", "starts at", "bounds", "what more of it does")
    for each in spec:
        entry, mark = VOCABULARY[each], ("°" if each in homing else "[bold]*[/]") if each in learned else ""
        home = f" → {agent.home[each]:g}" if each in agent.home else ""
        numbers.add_row(
            f"{each}{mark}", f"{float(starts[each]):g}{home}", f"{entry.lowest:g} to {entry.highest:g}", entry.effect
        )
    settings, told = _table("setting (--set)", "default", "what it is"), field_docs(type(default))
    for field in fields(default):
        settings.add_row(field.name, as_typed(getattr(default, field.name)) or "none", told.get(field.name, ""))
    tuners = _table("tuner (--tuner)", "what moves")
    for each, choice in TUNERS.items():
        if name in choice.agents:
            tuners.add_row(each, choice.effect)
    return Group(numbers, EXPLAINED, settings, "", tuners)


def field_docs(kind: type) -> dict[str, str]:
    """The string below each field of a dataclass, and of those it is made from, in one line each."""
    docs: dict[str, str] = {}
    for owner in reversed(kind.__mro__[:-1]):
        tree = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, below in itertools.pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = " ".join(text.split())
    return docs


def _example(make: Callable[..., Agent]) -> Agent:
    seen, actions = SPACES
    for space in actions[:-1]:
        try:
            return make(seen, space)
        except UnsupportedSpaceError:
            continue
    return make(seen, actions[-1])


def _table(*heads: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, no_wrap=place == 0, overflow="fold")
    return table
