"""`python -m chaoskit` is `chaoskit`."""

from chaoskit.cli.__main__ import main

if __name__ == "__main__":
    main()
