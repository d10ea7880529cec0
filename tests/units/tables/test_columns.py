import numpy as np
import pytest

from scalefit.core.errors import InputError
from scalefit.tables.columns import ROLES, assign, convert, derive, flag, fold, missing


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("N", "N"), ("Num Params", "N"), ("model_size", "N"), ("params_non_embedding", "N"),
        ("D", "D"), ("throughput/total tokens", "D"), ("consumed-tokens", "D"),
        ("C", "C"), ("total_flos", "C"), ("Flops Budget", "C"),
        ("L", "L"), ("loss", "L"), ("eval/loss", "L"), ("lm loss", "L"), ("CE loss", "L"),
        ("Name", "run"), ("run_name", "run"), ("_step", "step"), ("learning_rate", "lr"),
        ("hidden_size", "width"), ("num_layers", "depth"), ("unique_tokens", "U"),
    ],
)  # fmt: skip
def test_known_names_find_their_role(name, role):
    assert assign([name, "zzz"]).columns == {role: name}


def test_no_alias_serves_two_roles():
    folded = [fold(alias) for role in ROLES.values() for alias in {*map(fold, role.aliases)}]
    assert len(folded) == len(set(folded))


@pytest.mark.parametrize("name", ["n", "d", "c", "l", "u"])
def test_single_letters_are_taken_in_their_own_case_only(name):
    assert assign([name]).columns == {}


def test_what_is_asked_for_wins():
    assert assign(["loss", "val_loss"], {"L": "val_loss"}).columns["L"] == "val_loss"
    assert assign(["N", "size"], {"N": "size"}).columns["N"] == "size"


@pytest.mark.parametrize("names", [["loss", "val_loss"], ["train_loss", "eval_loss"]])
def test_train_and_validation_loss_are_never_guessed_between(names):
    with pytest.raises(InputError, match="2 columns could be L") as caught:
        assign(names)
    assert "--col L=" + names[1] in caught.value.hint


def test_an_exact_name_needs_no_word():
    assert assign(["N", "params", "D", "tokens", "loss"]).columns == {
        "N": "N", "D": "D", "L": "loss",
    }  # fmt: skip


def test_y_is_the_loss_only_beside_x():
    assert assign(["x", "y"]).columns == {"x": "x", "L": "y"}
    assert "L" not in assign(["N", "y"]).columns


def test_an_ambiguous_role_nobody_needs_stays_empty_and_is_told():
    found = assign(["loss", "dataset", "architecture"])
    assert "group" not in found.columns
    assert [note.code for note in found.notes] == ["role-ambiguous"]


def test_other_inputs_do_not_get_in_the_way_of_a_bare_curve():
    found = assign(["shots", "params", "model_size", "loss"], {"x": "shots"})
    assert found.columns == {"x": "shots", "L": "loss"}


def test_a_column_that_does_not_exist_is_refused_with_the_nearest():
    with pytest.raises(InputError, match="no column 'parms'") as caught:
        assign(["params", "loss"], {"N": "parms"})
    assert "params" in caught.value.hint


def test_a_role_in_the_wrong_case_is_refused():
    with pytest.raises(InputError, match="no role 'n'") as caught:
        assign(["params"], {"n": "params"})
    assert "N=params" in caught.value.hint


def test_loss_and_y_are_other_words_for_the_role_of_the_loss():
    assert assign(["a", "b"], {"loss": "a"}).columns == {"L": "a"}
    with pytest.raises(InputError, match="twice"):
        assign(["a", "b"], {"loss": "a", "L": "b"})


def test_a_column_in_place_of_a_role_is_told_apart():
    error = missing("seen_examples", ["loss", "seen_examples"])
    assert "is a column" in str(error)
    assert error.hint == "type --col x=seen_examples"


def test_a_missing_role_names_the_likely_column_and_what_to_type():
    error = missing("D", ["model", "seen examples", "loss"])
    assert "training tokens" in str(error)
    assert "--col 'D=seen examples'" in error.hint


def test_the_flag_is_quoted_where_the_shell_needs_it():
    assert flag("L", "CE loss") == "--col 'L=CE loss'"


@pytest.mark.parametrize(
    ("missing_role", "given", "value"),
    [("C", {"N": 2.0, "D": 5.0}, 60.0), ("N", {"D": 5.0, "C": 60.0}, 2.0),
     ("D", {"N": 2.0, "C": 60.0}, 5.0)],
)  # fmt: skip
def test_the_third_of_size_data_and_compute_is_derived(missing_role, given, value):
    values, rules = derive({role: np.array([v]) for role, v in given.items()})
    assert rules == {missing_role: "6ND"}
    assert values[missing_role][0] == value


def test_nothing_is_derived_from_one_or_over_three():
    assert derive({"N": np.ones(1)}) == ({}, {})
    assert derive({"N": np.ones(1), "D": np.ones(1), "C": np.ones(1)}) == ({}, {})


@pytest.mark.parametrize(
    ("name", "factor"), [("total_gflops", 1e9), ("throughput/total petaflops", 1e15), ("flops", 1)]
)
def test_compute_is_turned_into_flop(name, factor):
    values, unit, notes = convert("C", name, np.array([3.0]))
    assert values[0] == 3.0 * factor
    assert unit == "FLOP"
    assert [note.code for note in notes] == (["unit-converted"] if factor > 1 else [])


def test_prefixes_of_flop_rise_by_a_thousand():
    longs = ("kilo", "mega", "giga", "tera", "peta", "exa", "zetta", "yotta")
    for k, (short, long) in enumerate(zip("kmgtpezy", longs, strict=True), start=1):
        for prefix in (short, long):
            values, unit, _ = convert("C", f"total_{prefix}flops", np.array([3.0]))
            assert (values[0], unit) == (pytest.approx(3.0 * 1000.0**k), "FLOP")


def test_perplexity_becomes_nats():
    values, unit, notes = convert("L", "val_ppl", np.array([np.e**2]))
    np.testing.assert_allclose(values, [2.0])
    assert unit == "nats per token"
    assert notes[0].code == "unit-converted"


def test_bits_per_byte_are_kept_and_told():
    values, unit, notes = convert("L", "val_bpb", np.array([0.9]))
    assert values[0] == 0.9
    assert unit == "bits per byte"
    assert notes[0].code == "bits-per-byte"


def test_a_column_that_might_be_meant_is_named_once():
    error = missing("Seen", ["seen", "loss"])
    assert str(error).endswith("perhaps 'seen'")
