"""Schedules that benchmarks share: for each environment a change of dynamics, of reward, of what is observed."""

from collections.abc import Mapping
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
        "reward": {"blue_reward": {"values": (1.0, -1.0)}},
    },
    "catch": {
        "dynamics": {"action_rotation": {"values": (0.0, 1.0, 2.0)}},
        "reward": {"reward_factor": {"values": (1.0, -1.0)}},
    },
    "HalfCheetah-v5": {
        "dynamics": {"geom_friction": {"factors": (1.0, 0.2, 2.5)}},
        "reward": {"reward_factor": {"values": (1.0, 5.0, 0.2)}},
    },
}
"""By environment and by what changes: the tables of its fields. A force that abruptly changes its sign must not do so
smoothly: nothing can be done while it is nearly zero, so that smooth changes have tables of their own."""

KINDS = ("abrupt", "gradual", "periodic", "reward", "observation")


def standard(env_name: str, kind: str = "abrupt", every: int = 100_000) -> Drift:
    """A schedule that matters and that can be learned in every regime.

    Args:
        env_name: One of `STANDARDS`.
        kind: `"abrupt"`, `"gradual"` or `"periodic"`: the dynamics, in that way (in two_colors the worth of the
            objects, as published). `"reward"` and `"observation"`: abruptly; observations change their sign.
        every: Environment steps of a regime.

    Raises:
        SettingError: There is no such environment or kind among them.
    """
    if env_name not in STANDARDS:
        raise SettingError(f"There is no standard schedule for {env_name!r}; {did_you_mean(str(env_name), STANDARDS)}")
    if kind not in KINDS:
        raise SettingError(f"There is no standard schedule of the kind {kind!r}; {did_you_mean(str(kind), KINDS)}")
    if kind == "observation":
        tables: Mapping[str, Any] = {"observation_factor": {"values": (1.0, -1.0)}}
    else:
        what = "reward" if kind == "reward" or env_name == "two_colors" else "dynamics"
        smooth = what == "dynamics" and kind in ("gradual", "periodic") and "smooth" in STANDARDS[env_name]
        tables = STANDARDS[env_name]["smooth" if smooth else what]
    way = kind if kind in ("gradual", "periodic") else "abrupt"
    return Drift(tuple(Change(field, kind=way, every=every, **table) for field, table in tables.items()))
