"""What the user has, as tensors and back; and the files it is kept in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.core.errors import DataError, ModelFileError, SpecError, nearest
from isthmus.data.arrays import as_array
from isthmus.data.contracts import Array, Modality
from isthmus.data.files import Loaded, read
from isthmus.data.frames import as_frame, is_objects
from isthmus.data.gathering import are_images
from isthmus.data.images import Images
from isthmus.data.scipy_sparse import is_sparse
from isthmus.data.tables import Table
from isthmus.data.writing import check_output, write

__all__ = [
    "KINDS",
    "Images",
    "Loaded",
    "Modality",
    "Table",
    "check_output",
    "modality",
    "modality_from_state",
    "read",
    "write",
]

KINDS: dict[str, type[Modality]] = {Table.kind: Table, Images.kind: Images}


def modality(X: Any, kind: Any = None) -> Modality:
    """The kind of data that X is, not fitted yet.

    Parameters
    ----------
    X : array-like or DataFrame
    kind : "table" or "images", optional
        Guessed if left out: DataFrames, sparse matrices and two dimensions are a table; three and
        four dimensions, lists of arrays and of paths of image files are images.

    Raises
    ------
    SpecError
        If there is no such kind.
    DataError
        If it cannot be guessed.
    """
    if kind is not None:
        if not isinstance(kind, str) or kind not in KINDS:
            raise SpecError(f"there is no kind of data '{kind}'. {nearest(str(kind), KINDS)}")
        return KINDS[kind]()
    if is_sparse(X):
        return Table()
    is_frame = as_frame(X) is not None
    if are_images(X):
        return Images()
    if is_frame:
        return Table()
    shape = X.shape if is_objects(X) else as_array(X).shape
    if len(shape) == 2:
        return Table()
    if len(shape) in (3, 4):
        return Images()
    hint = " Reshape your data: one column is X.reshape(-1, 1)." if len(shape) == 1 else ""
    raise DataError(
        "X is a DataFrame or an array of shape (n, columns), or images of shape (n, height, "
        f"width) or (n, height, width, channels); got an array of shape {shape}.{hint}"
    )


def modality_from_state(json: Mapping[str, Any], arrays: Mapping[str, Array]) -> Modality:
    """The fitted modality whose ``state`` this is.

    Raises
    ------
    ModelFileError
        If it is of no known kind, or damaged.
    """
    kind = json.get("kind")
    if kind not in KINDS:
        raise ModelFileError(f"the saved schema is of an unknown kind of data, {kind!r}.")
    return KINDS[kind].from_state(json, arrays)
