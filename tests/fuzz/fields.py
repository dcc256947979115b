"""Field by field: any field of any message of a model set to what it should not be."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import onnx
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

MOST_MESSAGES = 3000
"""Messages of one model that may be chosen from."""

EDGES = (2**31 - 1, -(2**31), 99)
WHOLE = (0, 1, -1, 2, 3, 7, 16, 255, 2**16, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63), *EDGES)
SMALL = (-1, *range(27), *EDGES)
REAL = (0.0, -0.0, 1.0, -1.0, 0.5, float("nan"), float("inf"), float("-inf"), 3e38, 1e-45, 1e30)
TEXTS = (
    "", "x", "y", "a\x00b", "\x1b[31mred\x1b[0m", "\u202eevil", "é", "<script>", " ", "n" * 300,
    "../../etc/passwd", "/dev/zero", "n" * 20_000, "ai.onnx", "ai.onnx.ml", "com.microsoft",
    "NOTSET", "SAME_UPPER", "linear", "sum", "mean",
)  # fmt: skip
OPERATORS = tuple(sorted({s.name for s in onnx.defs.get_all_schemas()}))
KINDS = FieldDescriptor
WIDE = (KINDS.TYPE_INT64, KINDS.TYPE_SINT64)


def mutate(proto: onnx.ModelProto, other: onnx.ModelProto, rng: random.Random) -> str:
    """Change one field of a model; return what was done.

    Parameters
    ----------
    proto : onnx.ModelProto
        It is changed in place.
    other : onnx.ModelProto
        Another model, whose messages may cross over.
    """
    messages = list(_messages(proto))
    # Few fields of the model matter less than those of its many nodes and tensors.
    message = rng.choice(messages)
    field = rng.choice(_fields(message, rng))
    if field.is_repeated:
        return _repeated(proto, other, message, field, rng)
    if field.type == field.TYPE_MESSAGE:
        return _single(proto, other, message, field, rng)
    if rng.random() < 0.15:
        message.ClearField(field.name)
        return f"clear {field.full_name}"
    return _set(proto, message, field, rng)


def _messages(message: Message) -> Iterator[Message]:
    """All messages below one, the model's own as well."""
    stack, count = [message], 0
    while stack and count < MOST_MESSAGES:
        found = stack.pop()
        count += 1
        yield found
        for field, value in found.ListFields():
            if field.type == field.TYPE_MESSAGE:
                stack.extend(value if field.is_repeated else [value])


def _fields(message: Message, rng: random.Random) -> list[FieldDescriptor]:
    """Those that are set, mostly: what is not there yet is rarely looked at."""
    there = [field for field, _ in message.ListFields()]
    return there if there and rng.random() < 0.8 else list(message.DESCRIPTOR.fields)


def _set(
    proto: onnx.ModelProto, message: Message, field: FieldDescriptor, rng: random.Random
) -> str:
    before = getattr(message, field.name)
    value = _value(proto, field, before, rng)
    setattr(message, field.name, value)
    return f"{field.full_name}: {_short(before)} -> {_short(value)}"


def _value(proto: onnx.ModelProto, field: FieldDescriptor, before: Any, rng: random.Random) -> Any:
    """Another value of a field's type."""
    if field.type in WIDE:
        near = before + rng.choice((-1, 1)) if isinstance(before, int) else 0
        return rng.choice((*WHOLE, max(min(near, 2**63 - 1), -(2**63))))
    if field.type == field.TYPE_ENUM:
        return rng.choice([v.number for v in field.enum_type.values])
    if field.type in (field.TYPE_UINT64, field.TYPE_UINT32):
        return rng.choice((0, 1, 255, 2**31, 2**32 - 1))
    if field.type == field.TYPE_INT32:
        return rng.choice(SMALL)
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return rng.choice(REAL)
    if field.type == field.TYPE_BOOL:
        return not before
    if field.type == field.TYPE_BYTES:
        return _bytes(before if isinstance(before, bytes) else b"", rng)
    return _text(proto, field, before, rng)


def _bytes(before: bytes, rng: random.Random) -> bytes:
    cut = rng.randrange(len(before) + 1)
    return rng.choice((
        b"", before[:cut], before + b"\x00", before * 2, b"\xff\xfe\xfd", b"\xff" * len(before),
        b"\x00" * len(before), rng.randbytes(min(len(before), 256)), rng.choice(TEXTS).encode(),
    ))  # fmt: skip


def _text(proto: onnx.ModelProto, field: FieldDescriptor, before: Any, rng: random.Random) -> str:
    if field.name == "op_type" and rng.random() < 0.8:
        return rng.choice(OPERATORS)
    if rng.random() < 0.6:
        graph = proto.graph
        names = [n for node in graph.node for n in (*node.input, *node.output)]
        names += [v.name for v in (*graph.input, *graph.output, *graph.initializer)]
        if names:
            return rng.choice(names)
    if rng.random() < 0.2:
        return f"{before}{rng.choice(TEXTS)}"[:20_000]
    return rng.choice(TEXTS)


def _single(
    proto: onnx.ModelProto,
    other: onnx.ModelProto,
    message: Message,
    field: FieldDescriptor,
    rng: random.Random,
) -> str:
    """Clear, empty or replace a message."""
    action = rng.choice(("clear", "empty", "cross"))
    donor = _donor(proto, other, field, rng) if action == "cross" else None
    message.ClearField(field.name)
    if action == "empty":
        getattr(message, field.name).SetInParent()
    if donor is not None:
        getattr(message, field.name).CopyFrom(donor)
    return f"{action} {field.full_name}"


def _repeated(
    proto: onnx.ModelProto,
    other: onnx.ModelProto,
    message: Message,
    field: FieldDescriptor,
    rng: random.Random,
) -> str:
    """Drop, double, swap, put in, change or clear entries of a list."""
    held = getattr(message, field.name)
    entries = list(held)
    if field.type == field.TYPE_MESSAGE:
        # Copies: clearing the list takes its messages along.
        entries = [type(e).FromString(e.SerializePartialToString()) for e in entries]
    action = rng.choice(("drop", "double", "swap", "put", "put", "change", "clear"))
    changed = ACTIONS[action](entries, lambda before: _entry(proto, other, field, before, rng), rng)
    message.ClearField(field.name)
    getattr(message, field.name).extend(changed)
    return f"{action} in {field.full_name}"


def _entry(
    proto: onnx.ModelProto,
    other: onnx.ModelProto,
    field: FieldDescriptor,
    before: Any,
    rng: random.Random,
) -> Any:
    if field.type == field.TYPE_MESSAGE:
        return _donor(proto, other, field, rng)
    return _value(proto, field, before, rng)


def _donor(
    proto: onnx.ModelProto, other: onnx.ModelProto, field: FieldDescriptor, rng: random.Random
) -> Any:
    """A message of a field's type from either model, or an empty one."""
    wanted = field.message_type.full_name
    source = other if rng.random() < 0.5 else proto
    found = [m for m in _messages(source) if m.DESCRIPTOR.full_name == wanted]
    if found and rng.random() < 0.9:
        chosen = rng.choice(found)
        return type(chosen).FromString(chosen.SerializePartialToString())
    return _empty(wanted)


def _empty(full_name: str) -> Any:
    pool = onnx.ModelProto.DESCRIPTOR.file.pool
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(full_name))()


Make = Callable[[Any], Any]


def _drop(entries: list[Any], make: Make, rng: random.Random) -> list[Any]:
    if entries:
        del entries[rng.randrange(len(entries))]
    return entries


def _double(entries: list[Any], make: Make, rng: random.Random) -> list[Any]:
    if entries:
        entries.insert(rng.randrange(len(entries) + 1), rng.choice(entries))
    return entries


def _swap(entries: list[Any], make: Make, rng: random.Random) -> list[Any]:
    if len(entries) > 1:
        i, j = rng.sample(range(len(entries)), 2)
        entries[i], entries[j] = entries[j], entries[i]
    return entries


def _put(entries: list[Any], make: Make, rng: random.Random) -> list[Any]:
    before = rng.choice(entries) if entries else None
    entries.insert(rng.randrange(len(entries) + 1), make(before))
    return entries


def _change(entries: list[Any], make: Make, rng: random.Random) -> list[Any]:
    if not entries:
        return [make(None)]
    i = rng.randrange(len(entries))
    entries[i] = make(entries[i])
    return entries


ACTIONS = {
    "drop": _drop,
    "double": _double,
    "swap": _swap,
    "put": _put,
    "change": _change,
    "clear": lambda entries, make, rng: [],
}


def _short(value: Any) -> str:
    return repr(value)[:40]
