"""The two inner steps of batched dual coordinate descent, written as LLVM vector instructions.

numba cannot rule out that the arrays overlap and so leaves these loops scalar; here every array is
taken as rows of `LANES` numbers, one vector each. LLVM lowers them to what the processor has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic as _intrinsic

__all__ = ["LANES", "add_scaled_rows", "visit"]

LANES = 16
"""Genes that are solved side by side."""

# numba has no types for these that hold.
cgutils: Any = _cgutils
intrinsic: Any = _intrinsic


class _Rows:
    """An array, seen as rows of `LANES` numbers."""

    def __init__(self, builder: ir.IRBuilder, start: ir.Value) -> None:
        self.builder, self.start = builder, start
        self.type = ir.VectorType(start.type.pointee, LANES)

    def _address(self, row: ir.Value) -> ir.Value:
        place = self.builder.mul(row, ir.IntType(64)(LANES))
        pointer = self.builder.gep(self.start, [place])
        return self.builder.bitcast(pointer, self.type.as_pointer())

    def load(self, row: ir.Value) -> ir.Value:
        return self.builder.load(self._address(row), align=4)

    def store(self, value: ir.Value, row: ir.Value) -> None:
        self.builder.store(value, self._address(row), align=4)

    def filled(self, scalar: ir.Value) -> ir.Value:
        first = self.builder.insert_element(
            ir.Constant(self.type, ir.Undefined), scalar, ir.IntType(32)(0)
        )
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, first, zeros)


def _on_arrays(emit: Callable[..., ir.Value | None], result: types.Type) -> Any:
    """Make a function for compiled code of one that emits IR for arrays and one row number."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        received = [
            context.make_array(kind)(context, builder, value).data
            if isinstance(kind, types.Array)
            else value
            for kind, value in zip(signature.args, values, strict=True)
        ]
        made = emit(builder, *received)
        return context.get_dummy_value() if made is None else made

    return lambda *kinds: (result(*kinds), generate)


@intrinsic
def add_scaled_rows(
    _context: Any, rows: Any, weights: Any, first: Any, count: Any, step: Any
) -> Any:
    """Add ``weights[first + r] * step`` to row r of `rows`, for r from 0 to `count`."""

    def emit(
        b: ir.IRBuilder,
        rows: ir.Value,
        weights: ir.Value,
        first: ir.Value,
        count: ir.Value,
        step: ir.Value,
    ) -> None:
        target = _Rows(b, rows)
        change = _Rows(b, step).load(ir.IntType(64)(0))
        with cgutils.for_range(b, count) as loop:
            weight = b.load(b.gep(weights, [b.add(first, loop.index)]))
            moved = b.fmul(target.filled(weight), change, flags=["contract"])
            target.store(b.fadd(target.load(loop.index), moved, flags=["contract"]), loop.index)

    return _on_arrays(emit, types.void)(rows, weights, types.int64, types.int64, step)


@intrinsic
def visit(
    _context: Any,
    row: Any,
    target: Any,
    cap: Any,
    dual: Any,
    score: Any,
    shared: Any,
    numbers: Any,
) -> Any:
    """Move one coefficient of each gene to its optimum; tell whether any of them moved.

    Row `row` of `target`, `cap`, `dual` and `score` is taken, and `dual` written. The rows of
    `shared` are the intercept, the sum of signed coefficients, the signed step (written) and the
    largest change so far; `numbers` holds the pull on that sum and one over the curvature.
    """

    def emit(
        b: ir.IRBuilder,
        row: ir.Value,
        target: ir.Value,
        cap: ir.Value,
        dual: ir.Value,
        score: ir.Value,
        shared: ir.Value,
        numbers: ir.Value,
    ) -> ir.Value:
        index = ir.IntType(64)
        lanes = _Rows(b, shared)
        zero, one = (ir.Constant(lanes.type, [value] * LANES) for value in (0.0, 1.0))
        pull, own = (lanes.filled(b.load(b.gep(numbers, [index(place)]))) for place in (0, 1))
        bias, balance, worst = (lanes.load(index(place)) for place in (0, 1, 3))
        sign, most = _Rows(b, target).load(row), _Rows(b, cap).load(row)
        duals = _Rows(b, dual)
        before = duals.load(row)
        margin = b.fadd(_Rows(b, score).load(row), b.fadd(bias, b.fmul(pull, balance)))
        gradient = b.fsub(b.fmul(sign, margin), one)
        after = b.fsub(before, b.fmul(gradient, own))
        after = b.select(b.fcmp_ordered(">", after, zero), after, zero)
        after = b.select(b.fcmp_ordered("<", after, most), after, most)
        duals.store(after, row)
        change = b.fsub(after, before)
        step = b.fmul(change, sign)
        lanes.store(step, index(2))
        lanes.store(b.fadd(balance, step), index(1))
        opposite = b.fsub(zero, change)
        size = b.select(b.fcmp_ordered(">", change, opposite), change, opposite)
        lanes.store(b.select(b.fcmp_ordered(">", size, worst), size, worst), index(3))
        moved = b.bitcast(b.fcmp_ordered(">", size, zero), ir.IntType(LANES))
        return b.icmp_unsigned("!=", moved, ir.IntType(LANES)(0))

    return _on_arrays(emit, types.boolean)(types.int64, target, cap, dual, score, shared, numbers)
