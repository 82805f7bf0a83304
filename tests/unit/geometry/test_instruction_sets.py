from __future__ import annotations

import pytest

from kinlens.errors import UsageError
from kinlens.geometry import instruction_sets
from kinlens.geometry.instruction_sets import available_instruction_sets, vector_width

NAMES = ("avx512", "avx2", "sse2", "neon", "plain")


def pretend(monkeypatch: pytest.MonkeyPatch, features: str, machine: str = "x86_64") -> None:
    monkeypatch.setattr(instruction_sets.platform, "machine", lambda: machine)
    monkeypatch.setattr(instruction_sets.config, "CPU_FEATURES", None)
    monkeypatch.setattr(instruction_sets.codegen, "get_host_cpu_features", lambda: features)


@pytest.mark.parametrize(
    ("machine", "features", "expected"),
    [
        ("x86_64", "+avx2,+avx512bw,+avx512f,+sse2", ("avx512", "avx2", "sse2", "plain")),
        # Some processors have the foundation of AVX-512 alone.
        ("AMD64", "+avx2,+avx512f,-avx512bw,+sse2", ("avx2", "sse2", "plain")),
        ("x86_64", "-avx2", ("sse2", "plain")),
        ("aarch64", "+neon,+sve", ("neon", "plain")),
        ("arm64", "", ("neon", "plain")),
        ("riscv64", "", ("plain",)),
    ],
)
def test_what_the_processor_says_is_what_there_is(
    machine: str, features: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, features, machine)
    assert available_instruction_sets() == expected
    assert vector_width() == vector_width(expected[0])


def test_users_may_switch_features_off(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "+avx2,+avx512bw,+avx512f,+sse2")
    monkeypatch.setattr(instruction_sets.config, "CPU_FEATURES", "+avx2,-avx512f,+sse2")
    assert available_instruction_sets() == ("avx2", "sse2", "plain")


def test_what_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "+neon", "arm64")
    with pytest.raises(UsageError, match=r"has \(neon, plain\), not 'avx2'"):
        vector_width("avx2")
    assert vector_width("neon") == (0, 0)


def test_this_machine_has_at_least_one() -> None:
    assert set(available_instruction_sets()) <= set(NAMES)
    assert available_instruction_sets()[-1] == "plain"
