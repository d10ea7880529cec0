"""Small parts that everything stands on."""

import dataclasses
import hashlib
import inspect
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from functools import cached_property
from typing import ClassVar

import numpy as np
import pytest

from scalefit.core.digests import sha256
from scalefit.core.errors import UnknownName
from scalefit.core.records import dataclass, names_of, replace
from scalefit.core.registry import Registry
from scalefit.core.sorting import quantiles


@pytest.mark.parametrize("count", [1, 2, 3, 20, 999])
def test_quantiles_are_numpys_to_the_last_bit(count):
    values = np.random.default_rng(count).standard_normal((count, 3))
    levels = [0.0, 0.025, 0.3, 0.5, 0.9, 0.975, 1.0]
    expected = np.quantile(values, levels, axis=0, method="linear")
    assert np.array_equal(quantiles(values, levels), expected)
    values[0, 1] = np.nan
    assert np.isnan(quantiles(values, levels)[:, 1]).all()
    assert not np.isnan(quantiles(values, levels)[:, 0]).any()


@pytest.fixture
def shapes(tmp_path, monkeypatch):
    """A package of three modules, two of which add parts of a registry, one of them two."""
    home = tmp_path / "shapes_of_a_test"
    home.mkdir()
    (home / "__init__.py").write_text("")
    (home / "base.py").write_text(
        "from scalefit.core.registry import Registry\n"
        "SHAPES = Registry('shape', 'shapes_of_a_test')\n"
        "class Shape:\n"
        "    def __init__(self, name): self.name = SHAPES.add(self) and name\n"
    )
    for module, names in (("round_one", ["round-one"]), ("flat", ["flat-two", "flat"])):
        parts = "".join(f"SHAPES.add(type('T', (), {{'name': {name!r}}})())\n" for name in names)
        (home / f"{module}.py").write_text(f"from shapes_of_a_test.base import SHAPES\n{parts}")
    monkeypatch.syspath_prepend(tmp_path)
    from shapes_of_a_test.base import SHAPES

    yield SHAPES
    for name in [name for name in sys.modules if name.startswith("shapes_of_a_test")]:
        del sys.modules[name]


def test_a_part_asked_for_by_name_brings_its_own_module_alone(shapes):
    assert shapes.get("round-one").name == "round-one"
    assert "shapes_of_a_test.flat" not in sys.modules
    assert shapes.get("flat-two").name == "flat-two"  # no module has that name: all are looked at
    assert shapes.names() == ("flat", "flat-two", "round-one")
    assert [part.name for part in shapes] == list(shapes.names())


@pytest.mark.parametrize("name", ["rond-one", "base", "../flat", "os.path", "", "a b"])
def test_a_name_that_no_part_has_is_refused_whatever_it_says(shapes, name):
    with pytest.raises(UnknownName, match="no shape is called"):
        shapes.get(name)
    assert shapes.names() == ("flat", "flat-two", "round-one")


def test_two_parts_of_one_name_are_a_mistake():
    parts = Registry("part")
    one = type("One", (), {"name": "one"})()
    parts.add(one)
    with pytest.raises(ValueError, match="two parts are called 'one'"):
        parts.add(one)


def declared(decorate):
    """A class with every kind of field, made by a decorator."""

    @decorate(frozen=True)
    class Thing:
        kind: ClassVar[str] = "thing"
        a: int
        b: tuple[int, ...] = (1, 2)
        c: list = dataclasses.field(default_factory=list, compare=False, repr=False)

        def __post_init__(self):
            if self.a < 0:
                raise ValueError("negative")

        @cached_property
        def double(self):
            return 2 * self.a

    return Thing


def test_a_record_is_what_dataclasses_would_make():
    ours, theirs = declared(dataclass), declared(dataclasses.dataclass)
    for make in (ours, theirs):
        one, same, other = make(1), make(a=1, c=[5]), make(2, b=(3,))
        assert one == same != other
        assert hash(one) == hash(same)
        assert len({one, same, other}) == 2
        assert one != (1, (1, 2))
        assert repr(other).endswith("Thing(a=2, b=(3,))")
        assert dataclasses.asdict(same) == {"a": 1, "b": (1, 2), "c": [5]}
        assert dataclasses.replace(one, a=2, b=(3,)) == other
        assert (one.double, one.double) == (2, 2)
        match other:
            case make(a, b):
                assert (a, b) == (2, (3,))
        assert [field.name for field in dataclasses.fields(make)] == ["a", "b", "c"]
        for name in ("a", "kind", "new", "double"):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(one, name, 3)
        with pytest.raises(dataclasses.FrozenInstanceError):
            del one.a
        with pytest.raises(ValueError, match="negative"):
            make(-1)
        with pytest.raises(TypeError):
            make()
        assert one == make(1)
    assert repr(ours(1)) == repr(theirs(1))


def test_a_record_is_called_and_copied_as_declared():
    @dataclass(frozen=True)
    class Base:
        a: int
        b: str = "x"
        c: list = field(default_factory=list)

    @dataclass(frozen=True)
    class Derived(Base):
        b: str = "y"
        d: float = 0.5

    one = Derived(1)
    assert names_of(Derived) == names_of(one) == ("a", "b", "c", "d")
    assert (one.b, one.c, one.d) == ("y", [], 0.5)
    assert one.c is not Derived(1).c
    other = replace(one, a=2)
    assert other == Derived(2, c=one.c) == dataclasses.replace(one, a=2)
    assert other.c is one.c
    assert [str(p) for p in inspect.signature(Derived).parameters.values()][1:2] == ["b: str = 'y'"]
    assert list(inspect.signature(Derived).parameters) == ["a", "b", "c", "d"]
    assert [f.name for f in dataclasses.fields(Derived)] == ["a", "b", "c", "d"]
    assert Derived(1, c=[3]) != Derived(1, c=[4])
    for wrong in ({}, {"a": 1, "e": 2}):
        with pytest.raises(TypeError, match=r"Derived: '[ae]'"):
            Derived(**wrong)
    with pytest.raises(TypeError, match="'a' is given twice"):
        Derived(1, a=1)
    with pytest.raises(TypeError, match="takes 4 values, not 5"):
        Derived(1, 2, 3, 4, 5)
    with pytest.raises(TypeError, match="'e' is no field"):
        replace(one, e=1)


def test_records_that_are_not_frozen_can_be_set():
    @dataclass
    class Open:
        a: int
        b: list = field(default_factory=list)

    one = Open(1)
    one.a = 2
    assert one == Open(2)
    assert Open.__hash__ is None
    assert replace(one, b=[1]) == Open(2, [1])


def test_threads_may_make_the_first_instances_of_a_record_at_once():
    for _ in range(20):

        @dataclass(frozen=True)
        class Many:
            a: int
            b: dict = field(default_factory=dict)

        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda k, cls=Many: dataclasses.asdict(cls(k)), range(32)))
        assert made == [{"a": k, "b": {}} for k in range(32)]


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 5000, 2**20, 2**20 + 1])
def test_a_digest_is_hashlibs(size):
    data = np.random.default_rng(size).bytes(size)
    digest = sha256(size)
    for begin in range(0, size, 1000):
        digest.update(data[begin : begin + 1000])
    assert digest.hexdigest() == hashlib.sha256(data).hexdigest()


def test_records_that_are_not_compared_are_only_themselves():
    @dataclass(frozen=True, eq=False)
    class Array:
        values: np.ndarray

    one = Array(np.ones(2))
    assert one == one
    assert one != Array(one.values)
    assert len({one, Array(one.values)}) == 2


def inherited(dataclass):
    @dataclass(frozen=True)
    class Base:
        a: "int"
        b: "list[int]" = dataclasses.field(default_factory=list)

    @dataclass(frozen=True)
    class Derived(Base):
        a: "float" = 1.0
        c: "str" = "x"

    return Derived


def test_the_signature_of_a_record_tells_what_it_inherits():
    ours, theirs = inherited(dataclass), inherited(dataclasses.dataclass)
    assert f"{inspect.signature(ours)} -> None" == str(inspect.signature(theirs))
    assert ours() == ours(1.0, [], c="x")


def test_threads_may_ask_for_the_first_time_together():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            for _ in range(40):
                one = inherited(dataclass)()
                together = threading.Barrier(8)

                def asked(_, one=one, together=together):
                    together.wait()
                    return one == one, [field.name for field in dataclasses.fields(one)]

                assert list(threads.map(asked, range(8))) == [(True, ["a", "b", "c"])] * 8
    finally:
        sys.setswitchinterval(interval)


@dataclass(frozen=True)
class Sent:
    """Stands at the top of a module, so that it can be sent."""

    a: int
    b: str = "x"


def test_a_record_travels_between_processes():
    sent = pickle.loads(pickle.dumps(Sent(3)))
    assert sent == Sent(3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        sent.a = 4
