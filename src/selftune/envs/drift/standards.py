"""Schedules that benchmarks share: for each environment changes of dynamics, of reward, of what is observed."""

from collections.abc import Collection, Mapping
from typing import Any

from selftune.envs.drift.schedule import Change, Drift
from selftune.errors import SettingError, did_you_mean

STANDARDS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "cartpole": {
        "dynamics": {
            "gravity": {"factors": (1.0, 2.0, 0.5)},
            "half_length": {"factors": (1.0, 0.4, 2.0)},
            "force": {"factors": (1.0, -1.0, 0.6)},
        },
        "smooth": {
            "gravity": {"factors": (1.0, 2.0, 0.5)},
            "half_length": {"factors": (1.0, 0.4, 2.0)},
            "force": {"factors": (1.0, 0.6, 1.5)},
        },
        "reward": {"reward_factor": {"values": (1.0, 5.0, 0.2)}},
    },
    "acrobot": {
        "dynamics": {"torque": {"factors": (1.0, -1.0, 1.5)}, "mass_2": {"factors": (1.0, 0.7, 1.2)}},
        "smooth": {"torque": {"factors": (1.0, 0.7, 1.5)}, "mass_2": {"factors": (1.0, 0.7, 1.2)}},
        "reward": {"reward_factor": {"values": (1.0, 5.0, 0.2)}},
    },
    "pendulum": {
        "dynamics": {"mass": {"factors": (1.0, 0.6, 1.2)}, "length": {"factors": (1.0, 0.7, 1.1)}},
        "reward": {"reward_factor": {"values": (1.0, 5.0, 0.2)}},
    },
    "two_colors": {
        "dynamics": {"action_rotation": {"values": (0.0, 2.0)}},
        "smooth": {},
        "reward": {"blue_reward": {"values": (1.0, -1.0)}},
    },
    "catch": {
        "dynamics": {"action_rotation": {"values": (0.0, 1.0, 2.0)}},
        "smooth": {},
        "reward": {"reward_factor": {"values": (1.0, -1.0)}},
    },
    "HalfCheetah-v5": {
        "dynamics": {"geom_friction": {"factors": (1.0, 0.2, 2.5)}},
        "reward": {"reward_factor": {"values": (1.0, 5.0, 0.2)}},
    },
}
"""By environment and by what changes: the tables of its fields. A force that abruptly changes its sign must not do so
smoothly: nothing can be done while it is nearly zero, so that smooth changes have tables of their own; there are none
where actions change places, which they do at once or not at all."""
OBSERVATION = {
    "abrupt": {"observation_factor": {"values": (1.0, -1.0)}},
    "smooth": {"observation_factor": {"values": (1.0, 0.3, 3.0)}},
}
"""What is seen of any environment, in the same manner."""
WAYS = ("abrupt", "gradual", "periodic")
SUBJECTS = ("dynamics", "reward", "observation")
USUAL = {name: "reward" if name == "two_colors" else "dynamics" for name in STANDARDS}
"""What changes where nothing is said; in two_colors the worth of the objects, as published."""


def standard(env_name: str, way: str = "abrupt", subject: str | None = None, every: int = 100_000) -> Drift:
    """A schedule that matters and that can be learned in every regime.

    Args:
        env_name: One of `STANDARDS`.
        way: One of `WAYS`.
        subject: One of `SUBJECTS`; the one of `USUAL` where it is left out.
        every: Environment steps of a regime.

    Raises:
        SettingError: There is no such environment, way or subject among them, or they do not go together.
    """
    for what, told, known in (("environment", env_name, STANDARDS), ("way", way, WAYS)):
        _check(what, told, known)
    subject = USUAL[env_name] if subject is None else subject
    _check("subject", subject, SUBJECTS)
    tables = _tables(env_name, way, subject)
    if not tables:
        raise SettingError(
            f"The {subject} of {env_name} cannot change in the way {way!r}; expected one of "
            f"{', '.join(kinds(env_name))}."
        )
    return Drift(tuple(Change(field, kind=way, every=every, **table) for field, table in tables.items()))


def kinds(env_name: str) -> tuple[str, ...]:
    """Every way and subject that go together in an environment, such as `"gradual reward"`."""
    return tuple(f"{way} {subject}" for subject in SUBJECTS for way in WAYS if _tables(env_name, way, subject))


def _tables(env_name: str, way: str, subject: str) -> Mapping[str, Any]:
    own = STANDARDS[env_name]
    if subject == "observation":
        return OBSERVATION["abrupt" if way == "abrupt" else "smooth"]
    return own["smooth"] if subject == "dynamics" and way != "abrupt" and "smooth" in own else own[subject]


def _check(what: str, told: str, known: Collection[str]) -> None:
    if told not in known:
        raise SettingError(f"There is no standard schedule for the {what} {told!r}; {did_you_mean(str(told), known)}")
