"""`python -m bnnpan_runtime`: the command line, where no script was installed."""

from bnnpan_runtime.cli import main

if __name__ == "__main__":
    main()
