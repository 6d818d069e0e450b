from itertools import pairwise

import pytest

from selftune.runner.chunks import chunks, updates_per_row


def grouped(*given):
    """Where chunks end, where rows do, and where checkpoints are made."""
    groups, done, saved = chunks(*given), 0, 0
    ends, rows, checkpoints = [], [], []
    while done < groups.updates:
        done += groups.next(done)
        ends.append(done)
        rows += [done] if groups.ends_row(done) else []
        if groups.checkpoint_is_due(done, saved):
            checkpoints.append(done)
            saved = done
    return ends, rows, checkpoints


def apart(places, begin=0):
    return {there - here for here, there in zip([begin, *places], places, strict=False)}


@pytest.mark.parametrize(("updates", "row"), [(977, 1), (5860, 20), (97_657, 195)])
@pytest.mark.parametrize("checkpoint", [1, 7, 196, 10_000])
def test_no_checkpoint_is_late_and_rows_are_as_they_were(updates, row, checkpoint):
    ends, rows, checkpoints = grouped(updates, updates, checkpoint, True)
    assert rows == [*range(row, updates, row), updates]
    assert set(rows) <= set(ends)
    assert max(apart([*checkpoints, updates])) <= checkpoint or updates <= checkpoint
    assert len(apart(ends)) <= 3, "each length is one more program to compile"
    assert len(checkpoints) <= 2 * updates / checkpoint, "nor is any much too soon"


def test_a_row_is_one_program_unless_a_checkpoint_comes_sooner():
    assert grouped(40, 40 * 500, 196, True)[0] == [40]
    assert grouped(40, 40 * 500, 20, True)[0] == [20, 40]
    assert grouped(40, 40 * 500, 19, True)[0] == [10, 20, 30, 40]
    assert grouped(41, 41 * 500, 20, True)[0] == [20, 40, 41]


def test_a_run_that_is_shorter_than_that_has_no_checkpoint_but_its_last():
    assert grouped(41, 41 * 500, 41, True)[2] == []
    assert grouped(1001, 1001, 1001, False)[2] == []


def test_on_the_host_updates_come_one_by_one():
    ends, rows, checkpoints = grouped(10, 2000, 3, False)
    assert ends == [*range(1, 11)]
    assert rows == [4, 8, 10]
    assert checkpoints == [3, 6, 9]


def test_a_run_that_is_taken_up_goes_on_in_the_same_chunks():
    groups = chunks(100, 20_000, 13, True)
    ends = grouped(100, 20_000, 13, True)[0]
    assert all(here + groups.next(here) == there for here, there in pairwise(ends))


def test_rows_of_a_long_run_are_of_one_length_where_they_can_be():
    assert updates_per_row(300) == updates_per_row(999) == 1
    assert updates_per_row(1000) == 2
    assert updates_per_row(5860) == 20, "5860 = 2 2 5 293: the first from 11 on that divides it"
    assert updates_per_row(1009) == 2, "a prime"
