import pytest

from nlpcli.errors import UsageError
from nlpcli.runs.tuning import Goal, Search, Trial, parse_goal


def test_goals() -> None:
    assert parse_goal(None, multi_label=False) == Goal("accuracy")
    assert parse_goal(None, multi_label=True) == Goal("micro_f1")
    assert parse_goal("f1:a b", multi_label=True) == Goal("f1", "a b")
    assert str(parse_goal("f1:spam", multi_label=False)) == "f1:spam"
    with pytest.raises(UsageError, match="no metric acuracy"):
        parse_goal("acuracy", multi_label=False)


def test_values_of_metrics() -> None:
    document = {
        "accuracy": {"value": 0.5}, "log_loss": {"value": 2.0}, "mcc": {"value": None},
        "per_label": {"a": {"f1": 0.25}},
    }  # fmt: skip
    assert Goal("accuracy").value(document) == 0.5
    assert Goal("log_loss").value(document) == 2.0
    assert Goal("mcc").value(document) is None
    assert Goal("log_loss").lower_is_better and not Goal("mcc").lower_is_better
    assert Goal("hamming_loss").lower_is_better
    assert Goal("f1", "a").value(document) == 0.25
    assert Goal("f1", "b").value(document) == 0.0


def test_the_first_of_the_best_is_kept_and_failed_trials_are_not() -> None:
    trials = [
        Trial({"cost": 1.0}, 0.5, 1.0),
        Trial({"cost": 2.0}, None, 1.0),
        Trial({"cost": 4.0}, -0.5, 1.0),
        Trial({"characters": (2, 4)}, 0.5, 1.0),
        Trial({"cost": 8.0}, -0.5, 1.0),
    ]
    search = Search(False, trials, 4.5)
    assert search.best is trials[0]
    assert Search(True, trials, 4.5).best is trials[2]
    assert Search.from_json(search.to_json()) == search
    assert Search().best is None
