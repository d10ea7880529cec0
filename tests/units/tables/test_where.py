import time

import numpy as np
import pytest

from scalefit.core.errors import InputError
from scalefit.tables import read
from scalefit.tables.where import matches, parse

COLUMNS = {
    "loss": np.array([2.0, 3.0, np.nan, 4.0]),
    "state": np.array(["done", "crashed", "done", "it's"], object),
    "diverged": np.array(["False", "True", "false", ""], object),
    "seed": np.array(["1", "2", "", "3"], object),
    "val loss": np.array([1.0, 2.0, 3.0, 4.0]),
    "a0": np.array([1.0, 1.0, 2.0, 2.0]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("loss < 4", [1, 1, 0, 0]),
        ("not loss < 4", [0, 0, 1, 1]),
        ("2 < loss <= 3", [0, 1, 0, 0]),
        ("4 > loss", [1, 1, 0, 0]),
        ("loss == -1 or loss >= +4e0", [0, 0, 0, 1]),
        ("state == 'done'", [1, 0, 1, 0]),
        ('state != "done" and loss > 3', [0, 0, 0, 1]),
        ("state in ('done', 'crashed')", [1, 1, 1, 0]),
        ("state not in ['done']", [0, 1, 0, 1]),
        ('state == "it\'s"', [0, 0, 0, 1]),
        ("seed in (1, 3)", [1, 0, 0, 1]),
        ("seed == '2'", [0, 1, 0, 0]),
        ("seed > 1.5", [0, 1, 0, 1]),
        ("diverged == False", [1, 0, 1, 0]),
        ("diverged", [0, 1, 0, 0]),
        ("not diverged", [1, 0, 1, 1]),
        ("`val loss` > 2 and `a0` == 2", [0, 0, 1, 1]),
        ("state == '`done`'", [0, 0, 0, 0]),
        ("loss > a0 and (seed == 1 or (state == 'crashed'))", [1, 1, 0, 0]),
        ("  loss < 3", [1, 0, 0, 0]),
    ],
)
def test_conditions_mean_what_they_say(text, expected):
    np.testing.assert_array_equal(matches(parse(text), COLUMNS), np.array(expected, bool))


def test_the_names_that_are_needed_are_listed_without_back_ticks():
    assert set(parse("`val loss` > 2 and not diverged").names.values()) == {"val loss", "diverged"}


@pytest.mark.parametrize(
    "text",
    [
        "", "1 < 2", "loss = 3", "loss < 3 & seed > 1", "loss < (1 if seed else 2)",
        "__import__('os').system('true')", "loss.__class__ == 1", "loss[0] < 1", "abs(loss) < 1",
        "(lambda: 1)() < loss", "[x for x in loss] == 1", "f'{loss}' == 'a'", "loss < 9**9**9**9",
        "loss == 'x' * 10", "loss is None", "loss == None", "loss == b'a'", "loss == 1j",
        "loss < 1e999", "loss in state", "loss in 'abc'", "state in (done, 'a')", "loss := 3",
        "loss < -'a'", "loss == ...", "loss < 3; import os", "loss <", "loss < 3\0", "loss < 1+1",
        "*loss", "await loss", "loss < 3 #\nx", "-loss < 3", "not 5", "True",
    ],
)  # fmt: skip
def test_everything_else_is_refused_at_once(text):
    start = time.perf_counter()
    with pytest.raises(InputError) as caught:
        parse(text)
    assert time.perf_counter() - start < 0.5
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("loss < 1 or " * 200 + "loss < 1", "letters"),
        ("loss<1 or " * 190 + "loss<1", "parts"),
        ("(" * 60 + "loss < 1" + ")" * 60, "deep"),
        ("not " * 80 + "loss < 1", "deep"),
        ("(" * 5000, "letters"),
    ],
)
def test_limits_hold(text, limit):
    with pytest.raises(InputError, match=limit):
        parse(text)


@pytest.mark.parametrize(
    "text", ["N >= 2M", "N >= 2.0M", "2000k <= N", "`N` >= .002B", "N>=2Mparams"]
)
def test_numbers_may_be_written_as_people_do(text):
    columns = {"N": np.array([1e6, 2e6, 3e6])}
    assert matches(parse(text), columns).tolist() == [False, True, True]


@pytest.mark.parametrize(("text", "letter"), [("N > 2Q", 5), ("N > 2M and open(1) > 2", 12)])
def test_a_refusal_keeps_its_place_beside_such_numbers(text, letter):
    with pytest.raises(InputError, match=f"letter {letter}: "):
        parse(text)


def test_a_refusal_has_its_place():
    with pytest.raises(InputError, match=r"letter 14: ") as caught:
        parse("loss < 3 and open('x') == 1")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("state > 3", "'state' holds words"),
        ("loss == 'a'", "'loss' holds numbers"),
        ("loss", "'loss' holds no True and False"),
        ("state == True", "'state' holds no True and False"),
    ],
)
def test_words_and_numbers_are_not_compared(text, told):
    with pytest.raises(InputError, match=told):
        matches(parse(text), COLUMNS)


def test_a_condition_that_no_row_meets_is_answered_with_what_the_columns_hold():
    table = {"L": [3.0, 2.5, 2.0], "x": [1.0, 2.0, 3.0], "data set": ["web", "code", "web"]}
    with pytest.raises(InputError, match="no row meets") as caught:
        read(table, where="`data set` == 'books' and L < 2.2")
    assert caught.value.hint == "L goes from 2 to 3; data set holds 'web', 'code'"
    with pytest.raises(InputError) as caught:
        read(table, where="class == 'a'")
    assert "back-ticks" in caught.value.hint
