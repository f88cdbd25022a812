"""The card of a saved codec, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import isthmus
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec


def card(codec: ImageCodec, identity: str) -> str:
    """What a codec is, what it is worth, how to use it."""
    weights = sum(
        tensor.size
        for predictor in codec.coder_.predictors
        for tensor in predictor.tensors().values()
    )
    colours = "colour and grey" if len(codec.coder_.predictors) == 3 else "grey"
    return f"""---
library_name: isthmus
tags: [image-compression, lossless]
---
# Image codec

Without loss, for {colours} images; fitted on {counted(codec.n_images_, "image")}. {weights:,}
whole numbers. {_worth(codec)}

## Use

```python
from isthmus import load

codec = load("path/to/this/folder")
data = codec.compress(image)
image = codec.decompress(data)
```

```bash
isthmus compress path/to/this/folder images/*.png -o out/
isthmus decompress out/*.ist -o back/ --model path/to/this/folder
```

Keep this folder: without it, nothing that it compressed can be read.

## Identity

{identity}; of the networks {codec.coder_.identity.hex()}. Saved by isthmus {isthmus.__version__}.
"""


def _worth(codec: ImageCodec) -> str:
    if not codec.validation_:
        return "No images were held out."
    before, after = codec.validation_["before"], codec.validation_["after"]
    if codec.kept_ == "start":
        return f"Training made it no better than it began, {before:.3f} bits per value."
    return f"On images held out, {after:.3f} bits per value; {before:.3f} before training."
