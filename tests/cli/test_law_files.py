"""Laws as files at the door: written, tested, fitted, saved and gone on from."""

import json
import subprocess
import sys
from pathlib import Path

RUNS = Path(__file__).parents[2] / "data" / "chinchilla-subset" / "runs.csv"


def scalefit(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "scalefit", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_law_is_written_tested_fitted_saved_and_gone_on_from(tmp_path):
    assert scalefit("laws", "new", "mine", cwd=tmp_path).returncode == 0
    again = scalefit("laws", "new", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "there already" in again.stderr
    assert scalefit("laws", "test", "mine.toml", cwd=tmp_path).returncode == 0
    saved = scalefit("fit", RUNS, "--law", "mine.toml", "-o", "fit.json", cwd=tmp_path)
    assert saved.returncode == 0, saved.stderr
    (tmp_path / "mine.toml").unlink()
    ours = scalefit("predict", "fit.json", "--at", "N=7B,D=1.4T", "--json", cwd=tmp_path)
    theirs = scalefit(
        "predict", RUNS, "--law", "chinchilla", "--at", "N=7B,D=1.4T", "--json", cwd=tmp_path
    )
    found = [json.loads(one.stdout)["rows"][0]["loss"]["value"] for one in (ours, theirs)]
    assert abs(found[0] / found[1] - 1) < 1e-8


def test_a_broken_law_fails_its_test_and_a_bad_one_is_refused(tmp_path):
    scalefit("laws", "new", "mine", cwd=tmp_path)
    path = tmp_path / "mine.toml"
    good = path.read_text()
    path.write_text(good.replace('by = "alpha"', 'by = "beta"'))
    assert scalefit("laws", "test", "mine.toml", cwd=tmp_path).returncode == 1
    path.write_text(good.replace("E + A", "E + open('x') + A"))
    refused = scalefit("fit", RUNS, "--law", "mine.toml", cwd=tmp_path)
    assert refused.returncode == 2
    assert "mine.toml: formula, letter 5: open is no function" in refused.stderr


def test_a_config_names_a_law_beside_itself(tmp_path):
    (tmp_path / "sub").mkdir()
    scalefit("laws", "new", "mine", cwd=tmp_path / "sub")
    (tmp_path / "sub" / "c.toml").write_text('[fit]\nlaws = ["mine.toml"]\n')
    done = scalefit("fit", RUNS, "--config", "sub/c.toml", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["fits"][0]["law"] == "mine"
