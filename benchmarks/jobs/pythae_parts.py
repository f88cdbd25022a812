"""An autoencoder of pythae from torch modules; importing this needs pythae."""

from __future__ import annotations

from typing import Any

from pythae.models import AE, AEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig

from benchmarks.data import Array


class Encoder(BaseEncoder):  # type: ignore[misc]
    """What pythae expects around a module."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Any) -> Any:
        return ModelOutput(embedding=self.module(x))


class Decoder(BaseDecoder):  # type: ignore[misc]
    """What pythae expects around a module."""

    def __init__(self, module: Any, sigmoid: bool) -> None:
        super().__init__()
        self.module, self.sigmoid = module, sigmoid

    def forward(self, z: Any) -> Any:
        out = self.module(z)
        return ModelOutput(reconstruction=out.sigmoid() if self.sigmoid else out)


def trained(
    encoder: Any,
    decoder: Any,
    x: Array,
    sigmoid: bool,
    folder: str,
    epochs: int,
    batch: int,
    seed: int,
) -> Any:
    """The model after so many epochs of its own trainer, which writes into ``folder``."""
    dim = [m for m in encoder.modules() if hasattr(m, "out_features")][-1].out_features
    config = AEConfig(input_dim=(x.shape[1],), latent_dim=dim)
    model = AE(config, Encoder(encoder), Decoder(decoder, sigmoid))
    training = BaseTrainerConfig(
        output_dir=folder,
        num_epochs=epochs,
        per_device_train_batch_size=batch,
        learning_rate=1e-3,
        keep_best_on_train=True,
        no_cuda=True,
        seed=seed,
    )
    TrainingPipeline(training_config=training, model=model)(train_data=x)
    return model
