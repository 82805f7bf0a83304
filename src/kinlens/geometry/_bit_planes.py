"""The inner loops of the bit-sliced edit distance, written as LLVM vector instructions.

Bit-slicing turns a table of numbers on its side: plane ``b`` holds bit ``b`` of 64, 128, 256 or 512
numbers, one *lane* each, so that one logical instruction computes one bit for all lanes. numba has
no vector types and does not vectorise these loops by itself (it cannot rule out that the arrays
overlap), so they are emitted through its IR builder. Which sequences they run over is decided in
`bitsliced`.

Every function takes `width` first, a tuple of zeros of which only the length counts: the number of
64-bit words in a vector. A tuple's length is part of its type, so one source gives machine code for
each width. Arrays are one-dimensional, of uint64, and start at a multiple of 64 bytes; indices
count vectors, not words. LLVM lowers vectors to what the processor has: one of 512 bits becomes one
AVX-512 register, two AVX2 registers or four NEON registers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

__all__ = ["open_rim", "spread", "sweep", "tally", "transpose"]

# numba has no types for these yet.
cgutils: Any = _cgutils
_I1, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (1, 16, 32, 64))
_Pair: TypeAlias = tuple[ir.Value, ir.Value]
# Rows that `tally` adds up before it carries into memory: 16 inputs, four counters in registers.
_TALLY_ROWS = 8


@dataclass(frozen=True)
class _Planes:
    """An array, seen as vectors of `words` 64-bit words."""

    builder: ir.IRBuilder
    start: ir.Value
    words: int

    @property
    def type(self) -> ir.VectorType:
        return ir.VectorType(_I64, self.words)

    def address(self, index: ir.Value) -> ir.Value:
        word = self.builder.mul(index, _I64(self.words))
        return self.builder.gep(self.start, [word])

    def load(self, index: ir.Value) -> ir.Value:
        pointer = self.builder.bitcast(self.address(index), self.type.as_pointer())
        return self.builder.load(pointer, align=8 * self.words)

    def store(self, value: ir.Value, index: ir.Value) -> None:
        pointer = self.builder.bitcast(self.address(index), self.type.as_pointer())
        self.builder.store(value, pointer, align=8 * self.words)

    def filled(self, word: int) -> ir.Value:
        return ir.Constant(self.type, [word] * self.words)


def _intrinsic(emit: Callable[..., Any]) -> Any:
    """Make a function for compiled code out of one that emits IR.

    The annotation of a parameter says what `emit` receives for the argument: `int` the length of a
    tuple, `_Planes` an array as vectors, `ir.PointerType` the address of any other array's data,
    `ir.Value` an integer. Returns an integer, or nothing when `emit` is annotated with None.
    """
    signature = inspect.signature(emit, eval_str=True)
    kinds = [parameter.annotation for parameter in signature.parameters.values()][1:]
    result = types.void if signature.return_annotation is None else types.int64

    def typed(_context: Any, *given: types.Type) -> Any:
        wanted = [
            types.int64 if kind is ir.Value else a for kind, a in zip(kinds, given, strict=True)
        ]

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
            received: list[Any] = []
            for kind, type_, value in zip(kinds, signature.args, values, strict=True):
                if kind is int:
                    received.append(len(type_))
                elif kind is ir.Value:
                    received.append(value)
                else:
                    start = context.make_array(type_)(context, builder, value).data
                    is_planes = kind is _Planes
                    received.append(_Planes(builder, start, received[0]) if is_planes else start)
            made = emit(builder, *received)
            return context.get_dummy_value() if made is None else made

        return result(*wanted), generate

    # numba reads the arguments' names from the signature; the builder takes the context's place.
    typed.__signature__ = signature  # type: ignore[attr-defined]
    typed.__name__, typed.__doc__ = emit.__name__, emit.__doc__
    return intrinsic(typed)


def _cell(b: ir.IRBuilder, equal: ir.Value, down: _Pair, across: _Pair) -> tuple[_Pair, _Pair]:
    """Emit one cell of the dynamic programme for all lanes.

    With ``D[i, j]`` the distance of the first i letters of one sequence and the first j of the
    other, neighbours differ by -1, 0 or 1, which two planes hold. `down` is ``D[i, j-1] -
    D[i-1, j-1]`` as (is +1, is -1); `across` is ``D[i-1, j] - D[i-1, j-1]`` as (is not +1, is -1),
    where the complement saves two instructions where there is no three-input logic. Returns both
    on the far sides of the cell. The step along the diagonal is 0 where the letters are equal or
    a neighbour is cheaper, else 1 (Myers 1999; Hyyrö 2003).
    """
    down_up, down_less = down
    across_not_up, across_less = across
    is_level = b.or_(b.or_(equal, down_less), across_less)
    next_across = (
        b.and_(b.not_(down_less), b.or_(is_level, down_up)),
        b.and_(is_level, down_up),
    )
    next_down = (
        b.or_(across_less, b.and_(b.not_(is_level), across_not_up)),
        b.and_(is_level, b.not_(across_not_up)),
    )
    return next_down, next_across


@_intrinsic
def sweep(
    b: ir.IRBuilder,
    width: int,
    tile: int,
    bits: int,
    targets: _Planes,
    queries: _Planes,
    column: ir.Value,
    edge: _Planes,
    state: _Planes,
    first: ir.Value,
    last: ir.Value,
) -> None:
    """Advance `tile` columns, from `column` on, through the rows from `first` to before `last`.

    Planes ``2 j`` and ``2 j + 1`` of `edge` hold the differences across at the upper end of column
    j, and those at the lower end afterwards; those of `state` the differences down in row i, of the
    column before and of the last one done.

    With `bits` empty, one query is in all lanes: word j of `queries` is where, in `targets`, the
    planes start that say, row by row, which targets have the query's letter j. Else each lane has
    its own query, and letters are numbers of that many bits: plane ``i * bits + bit`` of `targets`,
    plane ``j * bits + bit`` of `queries`.
    """
    columns = [b.add(column, _I64(t)) for t in range(tile)]
    if bits:
        query_letters = [_letter(queries, at, bits) for at in columns]
    else:
        starts = [b.load(b.gep(queries.start, [at])) for at in columns]
        letter_planes = [_Planes(b, targets.address(start), width) for start in starts]

    def equal_planes(row: ir.Value) -> list[ir.Value]:
        if not bits:
            return [planes.load(row) for planes in letter_planes]
        target_letter = _letter(targets, row, bits)
        return [_equal(b, target_letter, query_letter) for query_letter in query_letters]

    # Slots on the stack, which LLVM turns into registers: simpler to emit than phi nodes.
    places = [[b.add(b.mul(at, _I64(2)), _I64(side)) for side in (0, 1)] for at in columns]
    across = [[cgutils.alloca_once_value(b, edge.load(place)) for place in at] for at in places]
    with cgutils.for_range_slice(b, first, last, _I64(1)) as (row, _):
        upper = b.mul(row, _I64(2))
        lower = b.add(upper, _I64(1))
        down = (state.load(upper), state.load(lower))
        for is_equal, slots in zip(equal_planes(row), across, strict=True):
            up, less = (b.load(slot) for slot in slots)
            down, passed = _cell(b, is_equal, down, (up, less))
            for slot, value in zip(slots, passed, strict=True):
                b.store(value, slot)
        state.store(down[0], upper)
        state.store(down[1], lower)
    for slots, at in zip(across, places, strict=True):
        for slot, place in zip(slots, at, strict=True):
            edge.store(b.load(slot), place)


def _letter(planes: _Planes, place: ir.Value, bits: int) -> list[ir.Value]:
    start = planes.builder.mul(place, _I64(bits))
    return [planes.load(planes.builder.add(start, _I64(bit))) for bit in range(bits)]


def _equal(b: ir.IRBuilder, one: list[ir.Value], other: list[ir.Value]) -> ir.Value:
    differs = b.xor(one[0], other[0])
    for x, y in zip(one[1:], other[1:], strict=True):
        differs = b.or_(differs, b.xor(x, y))
    return b.not_(differs)


@_intrinsic
def open_rim(
    b: ir.IRBuilder,
    width: int,
    bits: int,
    codes: _Planes,
    count: ir.Value,
    flip: ir.Value,
    rim: _Planes,
) -> None:
    """Write the differences along one rim of a table: a step up for a letter, none for padding.

    Plane ``2 i`` of `rim` becomes the lanes where letter i is not 0, exclusive-or `flip` (0, or -1
    for the other lanes); plane ``2 i + 1`` becomes 0. `codes` has `bits` planes a letter.
    """
    flipped = _repeated(b, flip, rim.type)
    with cgutils.for_range(b, count) as loop:
        letter = _letter(codes, loop.index, bits)
        present = letter[0]
        for plane in letter[1:]:
            present = b.or_(present, plane)
        place = b.mul(loop.index, _I64(2))
        rim.store(b.xor(present, flipped), place)
        rim.store(rim.filled(0), b.add(place, _I64(1)))


@_intrinsic
def tally(
    b: ir.IRBuilder, width: int, state: _Planes, rows: ir.Value, counters: _Planes, depth: ir.Value
) -> None:
    """Add to `counters`, in every lane, one more than each of the differences down in `state`.

    The bits of a lane's counter are in the first `depth` planes, at least four. `rows` is a
    multiple of eight. Carry-save adders: 16 planes go in and one carry of weight 16 comes out,
    which alone ripples through memory (the Harley-Seal count).
    """
    low = [cgutils.alloca_once_value(b, counters.load(_I64(place))) for place in range(4)]
    with cgutils.for_range_slice(b, _I64(0), rows, _I64(_TALLY_ROWS)) as (row, _):
        carries = []
        for r in range(_TALLY_ROWS):
            upper = b.mul(b.add(row, _I64(r)), _I64(2))
            is_up, is_less = state.load(upper), state.load(b.add(upper, _I64(1)))
            carries += [is_up, b.not_(is_less)]
        for slot in low:
            total, pairs = b.load(slot), zip(carries[::2], carries[1::2], strict=True)
            carries = []
            for x, y in pairs:
                either = b.xor(total, x)
                carries.append(b.or_(b.and_(total, x), b.and_(either, y)))
                total = b.xor(either, y)
            b.store(total, slot)
        carry = cgutils.alloca_once_value(b, carries[0])
        with cgutils.for_range_slice(b, _I64(4), depth, _I64(1)) as (place, _):
            total, rest = counters.load(place), b.load(carry)
            counters.store(b.xor(total, rest), place)
            b.store(b.and_(total, rest), carry)
    for place, slot in enumerate(low):
        counters.store(b.load(slot), _I64(place))


@_intrinsic
def spread(
    b: ir.IRBuilder,
    width: int,
    counters: _Planes,
    depth: ir.Value,
    base: ir.Value,
    numbers: ir.PointerType,
) -> ir.Value:
    """Write ``base`` plus the number in `counters`, as uint16, for each lane; return the largest.

    Sums wrap at 65,536, so `base` may be negative.
    """
    lanes, flags = ir.VectorType(_I16, 64), ir.VectorType(_I1, 64)
    zero = ir.Constant(lanes, [0] * 64)
    largest_of = cgutils.get_or_insert_function(
        b.module, ir.FunctionType(_I16, [lanes]), "llvm.vector.reduce.umax.v64i16"
    )

    largest: ir.Value = _I16(0)
    for word in range(width):
        total = cgutils.alloca_once_value(b, _repeated(b, b.trunc(base, _I16), lanes))
        with cgutils.for_range(b, depth) as loop:
            at = b.add(b.mul(loop.index, _I64(width)), _I64(word))
            is_set = b.bitcast(b.load(b.gep(counters.start, [at])), flags)
            weight = _repeated(b, b.trunc(b.shl(_I64(1), loop.index), _I16), lanes)
            b.store(b.add(b.load(total), b.select(is_set, weight, zero)), total)
        found = b.load(total)
        place = b.bitcast(b.gep(numbers, [_I64(64 * word)]), lanes.as_pointer())
        b.store(found, place, align=2)
        here = b.call(largest_of, [found])
        largest = b.select(b.icmp_unsigned(">", here, largest), here, largest)
    return b.zext(largest, _I64)


@_intrinsic
def transpose(
    b: ir.IRBuilder,
    width: int,
    square: _Planes,
    planes: _Planes,
    place: ir.Value,
    step: ir.Value,
    count: ir.Value,
) -> None:
    """Turn 64 numbers a word into planes: bit r of them all becomes plane ``place + r * step``.

    Vector c of `square` holds, in each word, the number of lane c of that word. The first `count`
    bits are written; `square` is overwritten. Halves are swapped, then quarters, and so on
    (Warren, Hacker's Delight, section 7-3).
    """
    for level in range(5, -1, -1):
        half = 1 << level
        mask = square.filled(sum(1 << bit for bit in range(64) if not bit & half))
        shift = square.filled(half)
        with cgutils.for_range(b, _I64(32)) as loop:
            high = b.shl(b.lshr(loop.index, _I64(level)), _I64(level + 1))
            upper = b.or_(high, b.and_(loop.index, _I64(half - 1)))
            lower = b.add(upper, _I64(half))
            above, below = square.load(upper), square.load(lower)
            swapped = b.and_(b.xor(b.lshr(above, shift), below), mask)
            square.store(b.xor(above, b.shl(swapped, shift)), upper)
            square.store(b.xor(below, swapped), lower)
    with cgutils.for_range(b, count) as loop:
        planes.store(square.load(loop.index), b.add(place, b.mul(loop.index, step)))


def _repeated(b: ir.IRBuilder, number: ir.Value, kind: ir.VectorType) -> ir.Value:
    nothing = ir.Constant(kind, ir.Undefined)
    one = b.insert_element(nothing, number, _I32(0))
    everywhere = ir.Constant(ir.VectorType(_I32, kind.count), [0] * kind.count)
    return b.shuffle_vector(one, nothing, everywhere)
