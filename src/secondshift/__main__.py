"""`python -m secondshift`: the same as the `secondshift` command."""

from secondshift.interfaces.cli.main import main

if __name__ == "__main__":
    main()
