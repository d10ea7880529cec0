"""Run as `scalefit` or as `python -m scalefit`."""

import gc

# Loading a program makes a hundred thousand objects that never die, and each time Python looks for
# circles among them costs as much as a fit. Arrays die by their reference counts.
_OBJECTS = 100_000


def main() -> None:
    """Open the door; who interrupts while it is still being loaded gets no traceback either."""
    gc.set_threshold(_OBJECTS)
    try:
        from scalefit.cli import main as door

        door()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    finally:
        # Nothing is gained by a last look for circles: all memory goes back at once.
        gc.freeze()


if __name__ == "__main__":
    main()
