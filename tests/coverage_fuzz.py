"""Fuzzing that is led by coverage, where atheris is installed.

    python tests/coverage_fuzz.py TARGET RUNS FOLDER

Targets and seeds are those of test_fuzz.py; whatever is found lies in FOLDER afterwards.
"""

import os
import sys
from pathlib import Path


def main(target, runs, folder):
    """Never comes back: atheris ends the process, with 0 if nothing was found."""
    import atheris

    with atheris.instrument_imports(include=["scalefit"]):
        import test_fuzz

    from scalefit.core.errors import ScalefitError

    run, seeds, _ = test_fuzz.TARGETS[target]
    corpus = Path(folder) / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for k, data in enumerate(seeds()):
        (corpus / f"seed-{k}").write_bytes(data)
    os.chdir(folder)

    def one(data):
        try:
            run(data, folder)
        except ScalefitError:
            return

    options = [f"-runs={runs}", "-seed=1", "-max_len=4000", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
