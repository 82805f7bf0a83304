"""`python -m kinlens` is the command `kinlens`."""

from __future__ import annotations

from kinlens.cli.main import main

if __name__ == "__main__":
    main()
