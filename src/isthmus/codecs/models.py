"""The models of codecs: the ones that come with the library, and fitted ones on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load as load_arrays

import isthmus
from isthmus.coding.coder import Coder
from isthmus.coding.fixed import QUALITIES, FixedNetwork, under
from isthmus.coding.integers import IntegerNetwork
from isthmus.coding.latents import DEPTH, Groups, LatentCoder
from isthmus.coding.lossy import LossyCoder
from isthmus.coding.neighbourhood import FARTHEST, MOST_SLOPE, Neighbourhood
from isthmus.coding.planes import WEIGHTS, Predictor
from isthmus.coding.seen import possible_weights
from isthmus.coding.transform import Transform
from isthmus.core.errors import ModelFileError, TamperedError
from isthmus.core.strict_json import strict
from isthmus.data.contracts import Array

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec

MOST_NEIGHBOURS = 400
MOST_COMPONENTS = 8
MOST_PATCH, MOST_GROUPS = 64, 64
NOT_SAVED = ("resume", "verbose")


@dataclass(frozen=True)
class Architecture:
    """How large a network is, and what it sees.

    Parameters
    ----------
    own, other, slope
        See ``Neighbourhood``.
    widths : tuple of int
        Of the hidden layers.
    components : int
        Of the mixture.
    """

    own: int
    other: int
    slope: int
    widths: tuple[int, ...]
    components: int

    def neighbourhoods(self, planes: int, places: bool) -> list[Neighbourhood]:
        """Those of the planes of an image, in the order in which they are coded."""
        return [
            Neighbourhood(self.own, self.other if k else 0, k, self.slope, places)
            for k in range(planes)
        ]


ARCHITECTURES = {
    "best": Architecture(own=40, other=13, slope=3, widths=(128, 96), components=5),
    "fast": Architecture(own=20, other=9, slope=2, widths=(32,), components=3),
}


@cache
def bundled(speed: str) -> Coder:
    """The model for photographs that comes with the library."""
    folder = files("isthmus.codecs") / "bundled"
    said = json.loads((folder / f"{speed}.json").read_text(encoding="utf-8"))
    tensors = load_arrays((folder / f"{speed}.safetensors").read_bytes())
    return coder_of(said["neighbourhoods"], tensors)


def coder_of(neighbourhoods: Sequence[Mapping[str, Any]], tensors: Mapping[str, Array]) -> Coder:
    """A coder from plain data.

    Raises
    ------
    ModelFileError
        If they are not those of a coder, or its sums could leave the range where floats are exact.
    """
    hoods = [_neighbourhood(told) for told in neighbourhoods]
    if [hood.planes for hood in hoods] not in ([0], [0, 1, 2]):
        raise ModelFileError("a codec has a network for one plane, or for three.")
    predictors = []
    for number, hood in enumerate(hoods):
        own = {n.split("/", 1)[1]: t for n, t in tensors.items() if n.startswith(f"{number}/")}
        weights = own.pop(WEIGHTS, None)
        if weights is not None and not possible_weights(weights):
            raise ModelFileError("the weights of a codec's values are none that there can be.")
        network = IntegerNetwork.from_tensors(own)
        outputs = network.n_outputs
        if network.n_inputs != hood.n_inputs or outputs % 3 or outputs // 3 > MOST_COMPONENTS:
            raise ModelFileError("a network of the codec does not fit what it is to be shown.")
        predictors.append(Predictor(hood, network, weights))
    return Coder(predictors)


def _neighbourhood(told: Mapping[str, Any]) -> Neighbourhood:
    hood = Neighbourhood(**{name: told[name] for name in Neighbourhood.__dataclass_fields__})
    numbers: list[Any] = [hood.own, hood.other, hood.planes, hood.slope]
    places: Any = hood.places
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
    possible = (
        whole
        and isinstance(places, bool)
        and 4 <= hood.own <= min(MOST_NEIGHBOURS, FARTHEST**2)
        and 0 <= hood.planes <= 2
        and (5 if hood.planes else 0) <= hood.other <= MOST_NEIGHBOURS
        and 2 <= hood.slope <= MOST_SLOPE
    )
    if not possible:
        raise ModelFileError("a codec's neighbourhood is none that there can be.")
    return hood


def plain(coder: Coder | LossyCoder) -> tuple[dict[str, Any], dict[str, Array]]:
    """A coder as plain data, for ``coder_of`` or ``lossy_coder_of``."""
    if isinstance(coder, LossyCoder):
        groups = coder.latents.groups
        told = {
            "patch": coder.transform.patch,
            "colours": coder.transform.colours,
            "groups": list(groups.sizes),
            "places": groups.places,
            "seen": groups.seen,
            "qualities": list(coder.qualities),
        }
        return {"transform": told}, coder.tensors()
    hoods = [asdict(predictor.neighbourhood) for predictor in coder.predictors]
    tensors = {
        f"{number}/{name}": tensor
        for number, predictor in enumerate(coder.predictors)
        for name, tensor in predictor.tensors().items()
    }
    return {"neighbourhoods": hoods}, tensors


def lossy_coder_of(told: Mapping[str, Any], tensors: Mapping[str, Array]) -> LossyCoder:
    """A coder with loss from plain data.

    Raises
    ------
    ModelFileError
        If they are not those of a coder, or its sums could leave the range where floats are exact.
    """
    numbers = [told["patch"], told["colours"], told["seen"], *told["groups"], *told["qualities"]]
    low, high = told["qualities"]
    possible = (
        all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers)
        and isinstance(told["places"], bool)
        and told["patch"] <= MOST_PATCH
        and told["colours"] in (1, 3)
        and 0 < len(told["groups"]) <= MOST_GROUPS
        and sum(told["groups"]) <= told["patch"] ** 2 * told["colours"]
        and low <= high <= QUALITIES
    )
    if not possible:
        raise ModelFileError("the groups of a codec's channels are none that there can be.")
    parts = under("transform/", tensors)
    transform = Transform.from_tensors(told["patch"], told["colours"], told["seen"], parts)
    groups = Groups(tuple(told["groups"]), told["places"], told["seen"])
    own = under("latents/", tensors)
    networks = [FixedNetwork.from_tensors(under(f"{i}/", own)) for i in range(len(groups.sizes))]
    depths = own.get("depths", np.zeros(0, np.uint8))
    fits = [
        net.n_inputs == groups.n_inputs(i)
        and net.n_outputs % (3 * groups.sizes[i]) == 0
        and net.n_outputs // (3 * groups.sizes[i]) <= MOST_COMPONENTS
        for i, net in enumerate(networks)
    ]
    if (
        not all(fits)
        or transform.channels != groups.channels
        or depths.shape != (QUALITIES, len(networks))
        or not 1 <= depths.min() <= depths.max() <= DEPTH
    ):
        raise ModelFileError("a network of the codec does not fit what it is to be shown.")
    latents = LatentCoder(groups, networks, depths.astype(np.uint8))
    return LossyCoder(transform, latents, high, (low, high))


def save(codec: ImageCodec, path: Path) -> str:
    """Write a fitted codec; see ``ImageCodec.save``."""
    import torch

    from isthmus.codecs.card import card
    from isthmus.training.directory import save_directory

    check_replaced(path, codec.coder_.identity)
    shape, tensors = plain(codec.coder_)
    parameters = {n: v for n, v in codec.get_params().items() if n not in NOT_SAVED}
    seed = parameters["random_state"]
    config = {
        "library": {"isthmus": isthmus.__version__},
        "codec": {
            "class": type(codec).__name__,
            "parameters": {
                **parameters,
                "random_state": seed if isinstance(seed, int | None) else None,
            },
            **shape,
            "identity": codec.coder_.identity.hex(),
            "fitted": {
                "n_images": codec.n_images_,
                "kept": codec.kept_,
                "validation": strict(codec.validation_),
                "history": strict(codec.history_),
            },
        },
    }
    as_torch = {name: torch.from_numpy(np.ascontiguousarray(t)) for name, t in tensors.items()}
    return save_directory(path, config, as_torch, lambda identity: card(codec, identity))


def check_replaced(path: Path, identity: bytes | None = None) -> None:
    """Refuse to lose a codec, and with it all that it compressed.

    Parameters
    ----------
    path : Path
    identity : bytes, optional
        Of the networks that may stand there already.

    Raises
    ------
    ModelFileError
    """
    from isthmus.training.directory import CONFIG, read_config

    if not (path / CONFIG).is_file():
        return
    told = read_config(path).get("codec")
    if told is None or (identity is not None and told.get("identity") == identity.hex()):
        return
    raise ModelFileError(
        f"'{path}' holds another codec, and what that one compressed cannot be read without it. "
        "Choose another name, or remove it if nothing needs it."
    )


def restored(config: Mapping[str, Any], tensors: Mapping[str, Any]) -> ImageCodec:
    """A fitted codec from what a model directory holds.

    Raises
    ------
    TamperedError
        If the networks are not those that the directory names.
    """
    from isthmus.codecs.images import ImageCodec

    told = config["codec"]
    known = ImageCodec().get_params().keys() - {*NOT_SAVED}
    codec = ImageCodec(**{n: v for n, v in told["parameters"].items() if n in known})
    low, high = codec.qualities
    codec.qualities = (low, high)
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    if "transform" in told:
        codec.coder_ = lossy_coder_of(told["transform"], arrays)
    else:
        codec.coder_ = coder_of(told["neighbourhoods"], arrays)
    if codec.coder_.identity.hex() != told["identity"]:
        raise TamperedError("the networks of the codec are not those that it names.")
    fitted = told["fitted"]
    codec.n_images_, codec.kept_ = int(fitted["n_images"]), str(fitted["kept"])
    codec.validation_, codec.history_ = dict(fitted["validation"]), list(fitted["history"])
    return codec
