import pytest

import selftune as st
from selftune.errors import SettingError
from selftune.runner.plan import planned


def test_a_rival_learns_is_told_and_is_resumed_as_what_it_was(tmp_path):
    """An agent at random balances for about 22 steps."""
    path = tmp_path / "one"
    settings = {"hidden": (32,)}
    run = st.train(
        "cartpole",
        tuner="kl_adaptive",
        init={"learning_rate": 1e-4},
        steps=100_000,
        settings=settings,
        out=path,
        progress=False,
    )
    assert run.final_return > 50
    assert "--tuner kl_adaptive" in run.config["command"]
    assert planned(run.config).tuner == "kl_adaptive"
    assert run.config["settings"]["tune"] == ["learning_rate", "critic_learning_rate"]
    assert run.rows[-1]["eta/learning_rate"] > 2e-4
    assert any(row["guard/adaptive_rate/up"] for row in run.rows)
    more = st.resume(path, steps=102_400, progress=False)
    assert more.rows[-1]["step"] == 102_400
    assert "guard/adaptive_rate/up" in more.rows[-1]


def test_a_tuner_that_does_not_suit_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(SettingError, match="suits the agents"):
        st.train("cartpole", "dqn", tuner="annealed", out=tmp_path / "none", progress=False)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("tuner", ["kl_adaptive", "hoof", "annealed"])
def test_a_tuner_without_anything_to_move_is_refused_before_anything_is_made(tmp_path, tuner):
    with pytest.raises(SettingError, match=r"tune = \[\]: this tuner moves learning_rate.*choose tuner='fixed'"):
        st.train("cartpole", tuner=tuner, tune=[], out=tmp_path / "none", progress=False)
    assert not (tmp_path / "none").exists()
