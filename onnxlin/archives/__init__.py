"""The one door to archives of arrays: written through `onnxlin.files`, read believing nothing."""

from onnxlin.archives.members import let_go
from onnxlin.archives.reading import begun, names, packed, read, read_one
from onnxlin.archives.spool import Spool
from onnxlin.archives.writing import Draft, drafting, write

__all__ = [
    "Draft",
    "Spool",
    "begun",
    "drafting",
    "let_go",
    "names",
    "packed",
    "read",
    "read_one",
    "write",
]
