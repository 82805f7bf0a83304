"""An address that cannot be listened on is said in plain words."""

from __future__ import annotations

import pytest

from kinlens.errors import UsageError
from kinlens.explorer.serve import listen


def test_an_address_of_another_machine_is_refused() -> None:
    # Set aside for documents (RFC 5737), so that no machine has it.
    with pytest.raises(UsageError, match=r"203.0.113.1:0: cannot listen there \([^\[]+--host"):
        listen("203.0.113.1", 0)
