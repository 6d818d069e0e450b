import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.agents import VOCABULARY
from selftune.agents.vocabulary import bounds, build_spec
from selftune.errors import ConstraintError, NotDifferentiableError, UnknownMetaParamError
from selftune.metaparams import BoundNotice, MetaParam, bind, contextual, values

SETTINGS = ["num_envs", "rollout_length"]


def test_every_default_lies_inside_its_bounds_and_says_what_it_does():
    for name, entry in VOCABULARY.items():
        assert entry.lowest < entry.value < entry.highest, name
        assert entry.constraint.lower - 1e-9 < entry.lowest < entry.highest < entry.constraint.upper + 1e-9, name
        assert entry.effect


def test_spec_has_metaparams_where_tuned_and_numbers_elsewhere():
    spec = build_spec(VOCABULARY, ["discount"], {"discount": 0.8, "value_cost": 1.0}, SETTINGS)
    assert isinstance(spec["discount"], MetaParam)
    assert float(values(spec)["discount"]) == pytest.approx(0.8)
    assert spec["value_cost"] == 1.0
    assert bounds(spec) == {"discount": (0.3, 0.9999)}


@pytest.mark.parametrize("name", VOCABULARY)
@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_documented_bounds_are_admitted_and_finite(name, end):
    value = getattr(VOCABULARY[name], end)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BoundNotice)  # some documented bounds are the constraint's own
        entry = build_spec(VOCABULARY, [name], {name: value}, SETTINGS)[name]
    coordinate = entry.constraint.inverse(entry.value)
    assert jnp.isfinite(coordinate)
    assert float(entry.constraint.forward(coordinate)) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("name", VOCABULARY)
@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_bounds_are_admitted_as_a_run_folder_gives_them_back(name, end):
    # 1e-8 in single precision is 9.99999994e-9; SAC's runs could not be resumed.
    build_spec(VOCABULARY, [], {name: float(jnp.float32(getattr(VOCABULARY[name], end)))}, SETTINGS)


@pytest.mark.parametrize("name", VOCABULARY)
def test_no_context_takes_a_metaparameter_out_of_its_bounds(name):
    entry, context = VOCABULARY[name], jnp.array([1.0, -1.0])
    space = bind(build_spec([name], [name], {}, SETTINGS, scopes={name: contextual(2, ())}), {})
    coordinates, reached = space.init(jax.random.key(0))[name], []
    for weight in (-1e4, 1e4):
        output = {**coordinates["output"], "weight": jnp.array([weight, 0.0])}
        reached.append(float(space.resolve({name: {**coordinates, "output": output}}, context)[name]))
    ends = [float(entry.constraint.forward(end)) for end in entry.constraint.coordinates((entry.lowest, entry.highest))]
    assert sorted(reached) == pytest.approx(sorted(ends), rel=1e-4)
    assert sorted(ends) == pytest.approx([entry.lowest, entry.highest], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("number", [np.float32(0.5), np.float64(0.5), np.int32(1), 1])
def test_numbers_of_any_kind_are_numbers(number):
    spec = build_spec(["entropy_cost"], [], {"entropy_cost": number}, SETTINGS)
    assert spec["entropy_cost"] == float(number)


def test_errors_say_what_can_be_tuned():
    with pytest.raises(UnknownMetaParamError, match="did you mean 'learning_rate'"):
        build_spec(VOCABULARY, ["learning_rat"], {}, SETTINGS)
    with pytest.raises(UnknownMetaParamError, match="discount"):
        build_spec(VOCABULARY, [], {"gamma": 0.9}, SETTINGS)
    with pytest.raises(NotDifferentiableError, match=r"no gradient can move it.*entropy_cost"):
        build_spec(VOCABULARY, ["num_envs"], {}, SETTINGS)
    with pytest.raises(ConstraintError, match=r"discount = 1\.5 .* 0\.3 to 0\.9999"):
        build_spec(VOCABULARY, [], {"discount": 1.5}, SETTINGS)
    with pytest.raises(ConstraintError, match="nan"):
        build_spec(VOCABULARY, [], {"discount": float("nan")}, SETTINGS)
    with pytest.raises(NotDifferentiableError, match="not a number"):
        build_spec(VOCABULARY, [], {"discount": "high"}, SETTINGS)
