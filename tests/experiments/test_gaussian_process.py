import numpy as np

from selftune.experiments.gaussian_process import choose, extended, fit, predict


def _data(count: int = 40):
    chance = np.random.default_rng(0)
    x = chance.random((count, 2))
    y = -((x[:, 0] - 0.7) ** 2) * 12 + chance.normal(0, 0.05, count)
    return x, (y - y.mean()) / y.std(), y.mean(), y.std()


def test_a_known_function_is_found_again():
    x, y, mean, deviation = _data()
    process = fit(x, np.zeros(len(x)), y)
    grid = np.stack([np.linspace(0, 1, 21), np.full(21, 0.5)], axis=1)
    expected, spread = predict(process, grid, 0.0)
    truth = -12 * (grid[:, 0] - 0.7) ** 2
    assert np.abs(expected * deviation + mean - truth)[2:].max() < 0.3, "but for the very edge, where no data are"
    assert spread.max() < 0.7


def test_what_is_chosen_is_near_the_best_and_not_all_alike():
    x, y, _, _ = _data()
    chosen = choose(fit(x, np.zeros(len(x)), y), 0.0, 3, np.random.default_rng(1))
    assert np.abs(chosen[:, 0] - 0.7).max() < 0.3
    assert np.linalg.norm(chosen[0] - chosen[1]) > 0.02


def test_what_was_tried_is_known_better_and_what_is_old_is_forgotten():
    x, y, _, _ = _data()
    process = fit(x, np.zeros(len(x)), y)._replace(forgetting=0.3)
    place = np.array([[0.2, 0.2]])
    later = predict(process, place, 10.0)[1]
    assert later > predict(process, place, 0.0)[1]
    assert predict(extended(process, place, 10.0, np.zeros(1)), place, 10.0)[1] < later


def test_outcomes_that_change_with_time_are_told_from_noise():
    x = np.tile(np.random.default_rng(0).random((15, 1)), (2, 1))
    t = np.repeat([0.0, 12.0], 15)
    y = np.where(t == 0, 1.0, -1.0) * np.sign(x[:, 0] - 0.5)
    assert fit(x, t, y).forgetting > 0
