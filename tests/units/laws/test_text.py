"""Laws given as text: the same law as in Python, or a refusal with its place; never run."""

import ast
import builtins
import contextlib
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import observations, runs_of

from scalefit.core.errors import ConfigError, FitError, InputError
from scalefit.inference.fitting import fit
from scalefit.laws import LAWS
from scalefit.laws import text as texts
from scalefit.laws.dual import Dual
from scalefit.laws.text import TextError, load, named, parse, parse_law, template
from scalefit.pipeline.promises import promises

ATTACKS = [
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "(lambda: N)()",
    "[N for _ in (1,)]",
    "{N: N for N in (1,)}",
    "f'{N}'",
    "open('x')",
    "getattr(N, 'tofile')",
    "np.load(N)",
    "N.tofile",
    "N.__class__",
    "9**9**9**9",
    "'x' * 10**9",
    "range(10**12)",
    "(" * 2500 + "N" + ")" * 2500,
    "N+" * 140_000 + "N",
    "N + nobody",
    "(N + 1",
    "N if N else N",
    "exp(*N)",
    "exp(N, out=N)",
    "N[0]",
    "\u0430lpha + N",
    "N\n+ N",
    "exec('N')",
    "(N := 2)",
    "10**400 * N",
    "N**2j",
    "1/0 + N",
    "-" * 300 + "N",
    "yield N",
    "b'N'",
]


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_attacks_are_refused_and_nothing_runs(attack, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("text was run")

    for name in ("eval", "exec"):
        monkeypatch.setattr(builtins, name, refused)
    monkeypatch.setattr(os, "system", refused)
    with pytest.raises(TextError, match=r"letter|more than"):
        parse(attack, ("N",))


def test_a_refusal_says_where():
    with pytest.raises(TextError, match="letter 5: nobody"):
        parse("N + nobody", ("N",))
    with pytest.raises(TextError, match="letter 9"):
        parse("N + N * N.real", ("N",))


def test_limits_are_letters_depth_and_parts():
    names = ("N",)
    parse("N" + " " * (texts.MOST_LETTERS - 1), names)
    with pytest.raises(TextError, match="letters"):
        parse("N" + " " * texts.MOST_LETTERS, names)
    parse("exp(" * 48 + "N" + ")" * 48, names)
    with pytest.raises(TextError, match="deeper"):
        parse("exp(" * 50 + "N" + ")" * 50, names)
    balanced = "N"
    for _ in range(6):
        balanced = f"({balanced})+({balanced})"
    parse(balanced, names)  # 127 parts
    with pytest.raises(TextError, match="parts"):
        parse(f"({balanced})+({balanced})", names)


def test_what_is_made_of_numbers_alone_is_worked_out_once():
    formula = parse("N * (2**3 + sqrt(16))", ("N",))
    assert formula({"N": np.array([1.0, 2.0])}).tolist() == [12.0, 24.0]


def test_every_function_knows_duals_complex_numbers_and_arrays():
    for name, (count, _) in texts._FUNCTIONS.items():
        inside = "N" if count == 1 else "N, 0.3"
        formula = parse(f"{name}({inside})", ("N",))
        at = 0.7
        dual = formula({"N": Dual(np.array([[at]]), {0: 1.0})})
        step = formula({"N": np.array([[at + 1e-30j]])})
        assert dual.partials[0] == pytest.approx(np.imag(step) / 1e-30, rel=1e-12), name


@pytest.mark.parametrize("at", [-700.0, -40.0, -1.0, 0.0, 1.0, 40.0])
def test_the_slope_of_softplus_is_exact_far_below_zero(at):
    dual = texts.softplus(Dual(np.array([[at]]), {0: 1.0}))
    assert dual.partials[0] == pytest.approx(1 / (1 + np.exp(-at)), rel=1e-15, abs=0)


TREE = st.recursive(
    st.sampled_from(["N", "a", "2", "0.5", "1e3"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]}{t[1]}{t[2]})"),
        inner.map(lambda t: f"exp(-{t})"),
        inner.map(lambda t: f"log1p({t})"),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(TREE)
def test_a_formula_means_what_python_means(formula):
    values = {"N": np.float64(1.7), "a": np.float64(0.4)}
    names = {n.id for n in ast.walk(ast.parse(formula)) if isinstance(n, ast.Name)} & {"N", "a"}
    try:
        with np.errstate(all="ignore"):
            ours = parse(formula, tuple(sorted(names)))(values)
    except TextError as error:
        assert "finite" in str(error)  # noqa: PT017
        return
    with np.errstate(all="ignore"):
        theirs = eval(formula, {"exp": np.exp, "log1p": np.log1p}, values)
    np.testing.assert_allclose(ours, theirs, rtol=1e-15, equal_nan=True)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text("Na+-*/()., 0123456789eE_[]{}:='\"", max_size=60))
def test_any_text_is_a_formula_or_a_refusal(formula):
    with contextlib.suppress(TextError):
        parse(formula, ("N",))


def chinchilla_as_text():
    return parse_law(template("mine"))


def test_the_template_keeps_every_promise():
    assert [k for k in promises(chinchilla_as_text()) if not k.kept] == []


def test_a_law_as_text_is_fitted_like_the_law_in_python():
    runs = runs_of(LAWS.get("chinchilla"), noise=0.004)
    ours, theirs = fit(chinchilla_as_text(), runs), fit(LAWS.get("chinchilla"), runs)
    np.testing.assert_allclose(ours.theta, theirs.theta, rtol=1e-8)
    assert ours.status == theirs.status


HINGED = """
[law]
name = "hinged"
formula = "E + A * max(log(x) - b, 0)**p"
inputs = ["x"]
[law.parameters.E]
role = "irreducible"
[law.parameters.A]
low = 0.0
high = 10.0
starts = [0.1, 1.0]
[law.parameters.b]
low = 1.0
high = 6.0
starts = [2.0, 4.0]
[law.parameters.p]
low = 0.5
high = 3.0
starts = [1.0, 2.0]
[law.example]
E = 1.7
A = 0.2
b = 3.0
p = 1.4
"""


def test_a_power_of_a_hinge_is_fitted_where_the_hinge_is_zero(engine):
    law = parse_law(HINGED)
    runs = observations({"x": np.exp(np.linspace(1, 7, 40))}, np.ones(40))
    loss = law.predict(np.array([1.7, 0.2, 3.05, 1.4]), [runs.inputs["x"]])
    found = fit(law, observations(dict(runs.inputs), loss))
    np.testing.assert_allclose(found.theta, [1.7, 0.2, 3.05, 1.4], rtol=1e-5)


@pytest.mark.parametrize("zero", ["E / 0", "A * x**(-p / 0)", "1 / (0 * p)", "(0 * p)**-1"])
def test_a_division_by_zero_is_a_refusal_in_words(zero, engine):
    law = parse_law(HINGED.replace("max(log(x) - b, 0)**p", f"x**-p * b + {zero}"))
    with pytest.raises(FitError, match="finite"):
        fit(law, observations({"x": np.geomspace(1, 1e4, 20)}, np.linspace(4, 3, 20)))


@pytest.mark.parametrize("law", LAWS.values(), ids=lambda law: law.name)
def test_every_law_of_the_library_keeps_the_promises_of_laws_test(law):
    assert [k for k in promises(law) if not k.kept] == []


def test_a_broken_promise_is_seen():
    text = template("mine").replace('of = "N", by = "alpha"', 'of = "N", by = "beta"')
    broken = {k.promise for k in promises(parse_law(text)) if not k.kept}
    assert "a change of unit moves parameters as declared" in broken
    bent = template("mine").replace("E + A", "E**2 + A")
    broken = {k.promise for k in promises(parse_law(bent)) if not k.kept}
    assert "what is declared linear is linear" in broken


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "mine"', 'name = "chinchilla"', "a law of the library"),
        ('name = "mine"', 'name = "a b"', "letters, digits and hyphens"),
        ('name = "mine"', "", "name must be a text"),
        ('inputs = ["N", "D"]', 'inputs = ["N", "exp"]', "cannot name"),
        ('inputs = ["N", "D"]', 'inputs = ["N", "__D"]', "must be a list of names"),
        ('role = "exponent" }\nB', 'role = "exponant" }\nB', "no role is called"),
        ('role = "exponent" }\nB', 'role = "exponent", hight = 2 }\nB', "unknown key"),
        ('role = "exponent" }\nB', "low = 2, high = 1, starts = [1] }\nB", "low must lie below"),
        ('role = "exponent" }\nB', "low = 0, high = inf, starts = [1] }\nB", "finite"),
        ('role = "exponent" }\nB', "low = 0, high = 1, starts = [1], log = true }\nB", "zero"),
        ('role = "exponent" }\nB', "low = 0 }\nB", "needs low, high and starts"),
        ('of = "N", by = "alpha"', 'of = "X", by = "alpha"', "of must be an input"),
        ('of = "N", by = "alpha", ', 'of = 3, by = "alpha", ', "of must be an input"),
        ('role = "amplitude", of = "D"', 'role = "position"', "unknown key"),
        ("beta = 0.28", "", "every parameter once"),
        ("beta = 0.28", "beta = 1" + "0" * 400, "finite"),
        ("D**-beta", "D**-gamma", "neither an input nor a parameter"),
        ("D**-beta", "D", "never uses beta"),
        ("[law]", "[law]\nextra = 1", "unknown key"),
        ("[law]", "[low]", "unknown key"),
        ("[law]", "[law", "no TOML"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_in_words(old, new, words):
    text = template("mine")
    assert old in text
    with pytest.raises(ConfigError, match=words):
        parse_law(text.replace(old, new, 1))


def test_files_are_data(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "big.toml").write_text("#" * 70_000)
    with pytest.raises(ConfigError, match="64 KiB"):
        load(tmp_path / "big.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe[law]")
    with pytest.raises(ConfigError, match="no text"):
        load(tmp_path / "bytes.toml")
    (tmp_path / "mine.toml").write_text(template("mine"))
    assert named(str(tmp_path / "mine.toml")).name == "mine"
    with pytest.raises(InputError, match="no law is called"):
        named("mine")
