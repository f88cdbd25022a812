"""The card of a saved codec, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import isthmus
from isthmus.baselines.rate_distortion import bjontegaard
from isthmus.coding.lossy import LossyCoder
from isthmus.core.wording import counted

if TYPE_CHECKING:
    from isthmus.codecs.images import ImageCodec


def card(codec: ImageCodec, identity: str) -> str:
    """What a codec is, what it is worth, how to use it."""
    coder = codec.coder_
    loss = "lossless" if coder.lossless else "lossy"
    how = "Without loss" if coder.lossless else "With loss, one model for all qualities"
    return f"""---
library_name: isthmus
tags: [image-compression, {loss}]
---
# Image codec

{how}, for {colours_of(codec)} images; fitted on {counted(codec.n_images_, "image")}.
{coder.numbers:,} numbers. {worth(codec)}

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


def colours_of(codec: ImageCodec) -> str:
    """What a codec was fitted for."""
    coder = codec.coder_
    if isinstance(coder, LossyCoder):
        return "colour" if coder.transform.colours == 3 else "grey"
    return "colour and grey" if len(coder.predictors) == 3 else "grey"


def worth(codec: ImageCodec) -> str:
    """What images that were held out take."""
    if not codec.validation_:
        return "No images were held out."
    before, after = codec.validation_["before"], codec.validation_["after"]
    if isinstance(codec.coder_, LossyCoder):
        points = "; ".join(f"{bits:.2f} bits per value at {psnr:.1f} dB" for bits, psnr in after)
        if codec.kept_ == "start":
            return f"Training made it no better than it began. On images held out: {points}."
        fewer = -bjontegaard(before, after) if len(after) > 1 else 1 - after[0][0] / before[0][0]
        return f"On images held out: {points}; {fewer:.1%} fewer bits than before training."
    if codec.kept_ == "start":
        return f"Training made it no better than it began, {before:.3f} bits per value."
    return f"On images held out, {after:.3f} bits per value; {before:.3f} before training."
