import io
import math

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from selftune.runner import displaying
from selftune.runner.displaying import Display, lasting_console
from selftune.runner.readable import count, duration, number
from selftune.runner.terminal_charts import Trend, curve, sparkline


def row(step, **more):
    return {
        "step": step,
        "return_mean": step / 10,
        "steps_per_second": 50.0,
        "eta/learning_rate": 1e-5 * 10 ** (step / 250),
        "eta/discount": 0.9 + 0.0099 * step / 100,
        "guard/trust_region": 1,
        "guard/numeric": 0,
    } | more


def console(*, terminal=False, width=100, encoding="utf-8"):
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    return Console(file=file, force_terminal=terminal, width=width, height=40, color_system=None, _environ={})


def written(console):
    console.file.flush()
    return console.file.buffer.getvalue().decode(console.file.encoding)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is moved."""
    now = [0.0]
    monkeypatch.setattr(displaying.time, "monotonic", lambda: now[0])
    return now


def frame(console):
    """The last picture of an animation, line by line."""
    return written(console).split("╭")[-1].split("\n")


def test_a_terminal_shows_return_metaparameters_guards_and_time(clock):
    screen = console(terminal=True)
    with Display("CartPole-v1 · a2c", 1000, screen) as display:
        for step in range(0, 501, 5):
            clock[0] += 0.1
            display.update(row(step))
    shown = "\n".join(frame(screen))
    assert "CartPole-v1 · a2c" in shown
    assert "500/1k steps   50 steps/s   0:10 elapsed   0:10 left" in shown  # 500 steps left at 50 a second
    assert "return  50   best 50" in shown
    assert "trust region 101" in shown
    assert "numeric" not in shown
    [rate] = [line for line in frame(screen) if "learning rate" in line]
    # half way: half of 32 characters, and step 500 opens the 17th; equal factors rise equally, by 7/16 of a bar each
    assert rate.split()[1:5] == ["learning", "rate", "1e-05", "▁▁▂▂▃▃▄▄▅▅▆▆▆▇▇██"]
    assert rate.split()[5] == "0.001"


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_no_line_is_wider_than_the_terminal(width, clock):
    screen = console(terminal=True, width=width)
    with Display("A title that is longer than a narrow terminal is wide", 1000, screen) as display:
        for step in range(0, 1001, 100):
            clock[0] += 1.0
            display.update(row(step, **{"eta/a_name_of_uncommon_length_indeed": 0.5}))
    lines = [line for line in written(screen).replace("\r", "\n").split("\n") if "\x1b" not in line]
    assert max(map(len, lines)) <= width
    assert len(lines) > 10


def test_a_terminal_of_sixty_columns_shows_every_number_whole(clock):
    screen = console(terminal=True, width=60)
    with Display("CartPole-v1", 1000, screen) as display:
        clock[0] += 1.0
        display.update(row(1000, **{"eta/critic_learning_rate": 1.23e-05}))
    lines = frame(screen)
    assert any("critic learning r…  1.23e-05" in line and "  1.23e-05  " in line for line in lines)
    assert any("1k/1k steps   50 steps/s   0:01 elapsed   0:00 left" in line for line in lines)


def test_a_pipe_gets_a_line_every_tenth_of_the_way(clock):
    screen = console()
    with Display("CartPole-v1", 1000, screen) as display:
        for step in range(0, 1001, 10):
            display.update(row(step))
    lines = written(screen).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [f"{10 * tenth}%" for tenth in range(11)]
    assert lines[6].split()[:5] == ["50%", "500", "steps", "return", "50"]
    assert "learning_rate 0.001" in lines[6]
    assert "guards: trust region 51" in lines[6]  # rows 0, 10 .. 500
    assert "\x1b" not in written(screen)


def test_a_pipe_gets_a_line_every_ten_seconds(clock):
    screen = console()
    with Display("CartPole-v1", 10**9, screen) as display:
        for step in range(31):
            display.update(row(step))
            clock[0] += 1.0
    assert len(written(screen).splitlines()) == 1 + 4  # the title; at 0, 10, 20 and 30 seconds


def test_an_animation_is_not_drawn_for_every_row(clock):
    screen = console(terminal=True)
    with Display("CartPole-v1", 1000, screen) as display:
        for step in range(1000):
            display.update(row(step))
            clock[0] += 0.001
    assert written(screen).count("╭") < 20


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"step": None, "return_mean": None, "steps_per_second": None, "eta/x": None, "guard/y": None},
        {"step": float("nan"), "return_mean": float("inf"), "eta/x": float("nan"), "guard/y": float("nan")},
        {"step": 10**400, "return_mean": "text", "eta/": 1.0, "guard/": 1, "eta/x": [1.0]},
        {"step": jnp.int32(7), "return_mean": np.float32(2), "eta/discount": jnp.float32(1.0), "steps_per_second": 0},
        {"step": -5, "eta/x": -1.0, "guard/y": -1},
        {"step": 5000, "eta/x": 0.0},
    ],
)
def test_nothing_odd_in_a_row_stops_the_training(terminal, odd, clock):
    screen = console(terminal=terminal)
    display = Display("[red]a[/red] [/]", 100, screen)
    with display:
        for _ in range(3):
            clock[0] += 20.0
            display.update(odd)
    display.summary()
    assert "[red]a[/red] [/]" in written(screen)


@pytest.mark.parametrize("total", [0, 1])
def test_a_run_of_hardly_any_step_is_shown(total):
    screen = console()
    with Display("x", total, screen) as display:
        display.update({"step": total})
    assert "100%" in written(screen) or total == 0


def test_the_summary_tells_where_everything_went(clock):
    screen = console()
    display = Display("CartPole-v1", 1000, screen)
    with display:
        for step, reward in ((0, 10.0), (500, 90.0), (1000, 70.0)):
            clock[0] += 30.0
            display.update(row(step, return_mean=reward))
    start = len(written(screen))
    display.summary()
    summary = written(screen)[start:]
    assert "70 at the end, 90 at best" in summary
    assert "1e-05 → 0.1" in summary
    assert "0.9 → 0.999 (1,000 steps)" in summary
    assert "trust region 3" in summary
    assert "1:30 for 1k steps" in summary


def test_a_console_of_few_characters_gets_only_those(clock):
    screen = console(terminal=True, encoding="ascii")
    display = Display("CartPole-v1 · a2c", 100, screen)
    with display:
        display.update(row(100))
    display.summary()
    assert "1e-05 -> 1e-05" not in written(screen)
    assert "->" in written(screen)
    assert "CartPole-v1 ? a2c" in written(screen)


@pytest.mark.parametrize("terminal", [True, False])
def test_an_error_inside_passes_through(terminal):
    with pytest.raises(KeyboardInterrupt), Display("x", 10, console(terminal=terminal)):
        raise KeyboardInterrupt


def test_a_trend_spreads_over_the_whole_run():
    trend = Trend(100)
    for step, value in ((0, 1.0), (25, 3.0), (50, math.nan), (75, 3.0)):
        trend.add(step, value)
    # [0, 25), [25, 50), [50, 75), [75, 100]: the third is bridged
    np.testing.assert_array_equal(trend.points(4), [1.0, 3.0, 3.0, 3.0])
    assert (trend.first, trend.last, trend.best) == (1.0, 3.0, 3.0)
    # nothing is known of the second half of a run that is half done
    half = Trend(100)
    half.add(10, 1.0)
    np.testing.assert_array_equal(half.points(2), [1.0, np.nan])
    # two values in one stretch: their mean
    half.add(11, 4.0)
    np.testing.assert_array_equal(half.points(2), [2.5, np.nan])


def test_characters_follow_the_values():
    assert sparkline(np.array([0.0, 7.0, 3.0, np.nan])) == "▁█▄ "
    assert sparkline(np.array([2.0, 2.0])) == "▄▄"
    assert sparkline(np.array([np.nan])) == " "
    # one character is two columns of four dots: from the lowest left (dot 7) to the highest right (dot 4);
    # the right column draws the whole way up (dots 8, 6, 5, 4): 0x40 + 0x80 + 0x20 + 0x10 + 0x08 = 0xf8
    assert curve(np.array([0.0, 1.0]), 1) == [chr(0x28F8)]
    assert curve(np.array([1.0, 1.0, np.nan, np.nan]), 2) == ["⠀⠀", "⠉⠀"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (math.nan, "-"),
        (0.0, "0"),
        (3.14159e-5, "3.14e-05"),
        (0.012345, "0.0123"),
        (0.9, "0.9"),
        (0.99, "0.99"),
        (0.99871, "0.9987"),
        (0.999951, "0.999951"),
        (1 - 1e-16, "1"),
        (1.0, "1"),
        (-487.4, "-487"),
        (999.9999, "1,000"),
        (1234.5, "1,234"),
        (2.5e9, "2.5e+09"),
    ],
)
def test_numbers_are_short_and_tell_apart_what_matters(value, text):
    assert number(value) == text


def test_counts_and_durations_are_short():
    assert [count(value) for value in (0, 950, 12_345, 4e6, 2.5e9)] == ["0", "950", "12.3k", "4M", "2.5G"]
    assert [count(value) for value in (999.4, 999.6, 999_999, 1_230_000_000)] == ["999", "1k", "1M", "1.23G"]
    assert [duration(value) for value in (-1, 42.4, 725, 11525)] == ["0:00", "0:42", "12:05", "3:12:05"]


def test_a_run_that_was_taken_up_again_is_summed_up_whole(clock):
    screen = console()
    earlier = [row(step, return_mean=reward, wall_time=step / 10) for step, reward in ((0, 10.0), (500, 90.0))]
    display = Display("CartPole-v1", 1000, screen, earlier=earlier)
    with display:
        clock[0] += 55.0
        display.update(row(1000, return_mean=70.0, wall_time=104.0))
    start = len(written(screen))
    display.summary()
    summary = written(screen)[start:]
    assert "70 at the end, 90 at best" in summary
    assert "1e-05 → 0.1" in summary
    assert "trust region 3" in summary
    assert "1:45 for 1k steps" in summary, "not the 55 seconds of this process; those of its beginning too"


def test_metaparameters_began_where_they_were_told_to(clock):
    screen = console()
    with Display("run", 1000, screen, starts={"learning_rate": 1e-5}) as display:
        display.update(row(500))
    display.summary()
    assert "1e-05 → 0.001" in written(screen)
    assert "0.95 → 0.95" in written(screen), "of what was not told: its first row"


def test_a_name_is_no_emoji(capsys):
    lasting_console().print("my_envs:on:Corridor-v0")
    assert capsys.readouterr().out == "my_envs:on:Corridor-v0\n"
