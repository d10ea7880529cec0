"""The house itself: imports, help, README, versions."""

import ast
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import scalefit

ROOT = Path(__file__).parents[1]
COMMANDS = ("fit", "compare", "predict", "optimum", "check", "report", "rollout", "explain", "laws",
            "columns", "ingest", "schema")  # fmt: skip
HEAVY = ("numpy", "scipy", "lmfit", "pyarrow", "pandas", "matplotlib", "jinja2", "rich")


def python(code, *, check=True):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def modules_after(arguments):
    """Top-level modules loaded by a run of the command line."""
    code = (
        "import sys, contextlib, io\n"
        f"sys.argv = ['scalefit', *{list(arguments)!r}]\n"
        "from scalefit.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    try:\n        main()\n    except SystemExit:\n        pass\n"
        "print(' '.join(sorted({m.split('.')[0] for m in sys.modules})))\n"
        "print('scipy.stats' in sys.modules)\n"
    )
    names, stats = python(code).splitlines()[-2:]
    return {*names.split(), *(["scipy.stats"] if stats == "True" else [])}


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("fit", "--help")])
def test_help_loads_nothing_heavy(arguments):
    assert not modules_after(arguments) & set(HEAVY)


def test_a_fit_loads_neither_lmfit_nor_pandas_nor_matplotlib_nor_scipy_stats():
    loaded = modules_after(["fit", "data/chinchilla-subset/runs.csv", "--json"])
    assert "numpy" in loaded
    assert not loaded & {"lmfit", "pandas", "matplotlib", "scipy.stats", "jinja2", "joblib"}


def test_a_fit_and_refits_of_the_library_load_no_masked_arrays_and_no_other_law_or_method():
    code = (
        "import sys\n"
        "from scalefit.inference.uncertainty import METHODS, draw, interval\n"
        "from scalefit.inference.fitting import fit\n"
        "from scalefit.inference.objectives import Huber\n"
        "from scalefit.laws import LAWS\n"
        "from scalefit.tables.read import read\n"
        "from scalefit.tables.select import select\n"
        "runs = select(read('data/chinchilla-subset/runs.csv'), {'N': 'N', 'D': 'D'})\n"
        "found = fit(LAWS.get('chinchilla'), runs, objective=Huber())\n"
        "drawn = draw(found, METHODS.get('bootstrap')(draws=20))\n"
        "interval(drawn, found.theta, drawn.theta, 0.9, log=False)\n"
        "print(found.status, *sys.modules)\n"
    )
    status, *loaded = python(code).split()
    assert status == "converged"
    others = {"numpy.ma", "scalefit.laws.kaplan", "scalefit.inference.uncertainty.profile"}
    assert {"scalefit.laws.chinchilla", "scalefit.inference.uncertainty.bootstrap"} <= {*loaded}
    assert not others & {*loaded}


def test_importing_the_library_loads_nothing_heavy():
    loaded = python("import scalefit, sys; print(' '.join(m.split('.')[0] for m in sys.modules))")
    assert not set(loaded.split()) & set(HEAVY)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_an_example(command):
    arguments = [sys.executable, "-m", "scalefit", command]
    arguments += ["list"] if command == "laws" else []
    text = subprocess.run([*arguments, "--help"], capture_output=True, text=True, check=True).stdout
    assert "Example: scalefit" in re.sub(r"\s+", " ", text)


def test_the_version_is_that_of_the_changelog():
    told = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(name for name in told if name != "Unreleased") == scalefit.__version__


def test_nothing_in_the_package_unpickles_or_evaluates():
    forbidden = {"pickle", "dill", "marshal", "shelve", "asteval", "numexpr", "sympy", "yaml"}
    for path in (ROOT / "scalefit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").split(".")[0]}
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                names = {node.func.id} & {"eval", "exec", "compile", "__import__"}
                assert not names, f"{path.name}:{node.lineno} calls {names}"
                continue
            else:
                continue
            assert not names & forbidden, f"{path.name}:{node.lineno} imports {names}"


def test_no_test_reaches_for_the_network():
    with pytest.raises(AssertionError, match="reaches for the network"):
        socket.create_connection(("127.0.0.1", 9))
    with pytest.raises(AssertionError, match="reaches for the network"):
        socket.socket(socket.AF_INET6)


def test_no_process_of_a_test_reaches_for_the_network():
    code = "import socket; socket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "reaches for the network" in done.stderr


def test_every_law_is_one_file_of_at_most_35_lines():
    # The factory of broken laws holds three; the others are what laws stand on.
    others = {"base", "dual", "tape", "allocation", "text", "broken_power", "__init__"}
    for path in (ROOT / "scalefit" / "laws").glob("*.py"):
        if path.stem not in others:
            assert len(path.read_text().splitlines()) <= 35, path.name


def readme_law():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (block,) = [b for b in blocks if "LAWS.add" in b]
    return block


def test_the_law_of_the_readme_is_one_short_file_and_keeps_every_promise(tmp_path):
    block = readme_law()
    assert len(block.splitlines()) <= 35
    name = re.search(r'name="(.*?)"', block)[1]
    shutil.copytree(ROOT / "scalefit", tmp_path / "scalefit")
    (tmp_path / "scalefit" / "laws" / f"{name.replace('-', '_')}.py").write_text(block)
    shutil.copytree(ROOT / "tests" / "contracts", tmp_path / "tests" / "contracts")
    shutil.copytree(ROOT / "tests" / "guard", tmp_path / "tests" / "guard")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for helper in (ROOT / "tests").glob("*.py"):
        if not helper.name.startswith("test_"):
            shutil.copy(helper, tmp_path / "tests")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", name,
         "tests/contracts/test_laws.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 8


def test_dependencies_have_a_lowest_and_a_next_major_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        assert ">=" in requirement, requirement
        assert "<" in requirement, requirement


def test_no_file_names_a_registry_or_an_absolute_path_of_this_machine():
    listed = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False
    ).stdout.split()
    home = str(ROOT)
    for name in listed:
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", "") and path.is_file():
            assert home not in path.read_text(), name
