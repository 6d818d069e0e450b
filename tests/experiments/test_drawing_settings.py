import numpy as np
import pytest

from selftune.errors import SettingError
from selftune.experiments.drawing_settings import RANGES, TEST, TUNING, draw, from_unit, quantity, to_unit
from selftune.experiments.robust.page import axis_type


def test_draws_have_the_ranges_of_the_protocol():
    drawn = draw(RANGES, 4000, 0)
    ends = {
        "learning_rate": (1e-5, 1e-1),
        "entropy_cost": (1e-4, 1.0),
        "value_cost": (1e-2, 10**0.7),
        "trace_decay": (0.02, 0.98),
        "clip_range": (0.05, 0.5),
        "discount": (1 - 10**-0.5, 1 - 1e-3),
        "epsilon": (0.01, 0.9),
        "target_mix": (1e-4, 10**-0.3),
        "temperature": (1e-2, 10.0),
    }
    for name, (low, high) in ends.items():
        assert drawn[name].min() == pytest.approx(low, rel=0.05, abs=1e-3 * high)
        assert drawn[name].max() == pytest.approx(high, rel=0.05)
    assert np.median(drawn["learning_rate"]) == pytest.approx(1e-3, rel=0.2)


def test_a_name_is_drawn_alike_whatever_else_is():
    alone, both = draw(["discount"], 5, 1), draw(["learning_rate", "discount"], 5, 1)
    assert alone["discount"].tolist() == both["discount"].tolist()
    assert draw(["discount"], 5, TUNING)["discount"].tolist() != draw(["discount"], 5, TEST)["discount"].tolist()


def test_the_unit_cube_and_back():
    for name in RANGES:
        x = np.linspace(0, 1, 5)
        assert to_unit(name, from_unit(name, x)) == pytest.approx(x, abs=1e-6)


def test_a_discount_is_read_as_what_is_missing_to_one_and_nothing_else_is():
    value = np.array([0.9, 0.25])
    assert quantity("discount", value) == pytest.approx([0.1, 0.75])
    for name in ("trace_decay", "learning_rate", "critic_learning_rate"):
        assert quantity(name, value).tolist() == [0.9, 0.25]
    assert [axis_type(name) for name in ("discount", "trace_decay", "critic_learning_rate")] == ["log", "linear", "log"]


def test_an_unknown_name_is_refused():
    with pytest.raises(SettingError, match="learning_rate"):
        draw(["learning_rat"], 3, 0)
