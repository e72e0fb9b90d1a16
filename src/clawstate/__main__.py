"""`python -m clawstate` is the command `clawstate`."""

from clawstate.cli.main import main

if __name__ == "__main__":
    main()
