"""Run as `scalefit` or as `python -m scalefit`."""


def main() -> None:
    """Open the door; who interrupts while it is still being loaded gets no traceback either."""
    try:
        from scalefit.cli import main as door

        door()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
