"""`python -m sdn.cli` is `sdn`."""

from sdn.cli import main

if __name__ == "__main__":
    main()
