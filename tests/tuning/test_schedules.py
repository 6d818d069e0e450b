import jax.numpy as jnp
import pytest

from selftune.errors import SettingError
from selftune.metaparams import MetaParam, contextual, free, positive
from selftune.tuning import annealed


def test_values_go_linearly_to_the_lowest_and_stay():
    """0.08 over 4 updates: 0.06, 0.04, 0.02, then 0, which is held at 0.001."""
    optimizer = annealed({"rate": MetaParam(0.08), "other": 3.0}, 4, {"rate": 1e-3})
    coordinates = {"rate": jnp.log(jnp.asarray(0.08))}
    state, seen = optimizer.init(coordinates), []
    for _ in range(5):
        step, state = optimizer.update({"rate": jnp.asarray(7.0)}, state, coordinates)
        coordinates = {"rate": coordinates["rate"] + step["rate"]}
        seen.append(float(jnp.exp(coordinates["rate"])))
    assert seen == pytest.approx([0.06, 0.04, 0.02, 0.001, 0.001], rel=1e-5)


@pytest.mark.parametrize(("start", "constraint", "seen"), [(5e-4, positive, [5e-4] * 2), (-1.0, free, [-0.75, -0.5])])
def test_what_starts_below_the_lowest_is_never_raised_to_it(start, constraint, seen):
    optimizer = annealed({"rate": MetaParam(start, constraint)}, 4, {"rate": 1e-3})
    coordinates = {"rate": constraint.inverse(jnp.asarray(start))}
    state, values = optimizer.init(coordinates), []
    for _ in seen:
        step, state = optimizer.update(coordinates, state, coordinates)
        coordinates = {"rate": coordinates["rate"] + step["rate"]}
        values.append(float(constraint.forward(coordinates["rate"])))
    assert values == pytest.approx(seen, rel=1e-5)


def test_a_function_of_the_context_is_refused():
    with pytest.raises(SettingError, match=r"\['rate'\], functions of the context"):
        annealed({"rate": MetaParam(0.08, positive, contextual(2))}, 4, {"rate": 1e-3})


def test_what_makes_no_sense_is_refused():
    with pytest.raises(SettingError, match="at least 1"):
        annealed({"rate": MetaParam(0.08)}, 0, {"rate": 1e-3})
    with pytest.raises(SettingError, match="lowest"):
        annealed({"rate": MetaParam(0.08)}, 4, {})
