"""curator-mini, loaded by open_clip's own machinery: a model configuration, a timm tower, a safetensors file.

Nothing here touches the network: the tokenizer is the one that open_clip ships.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from curator.encoders.options import EncoderOptions, SuitedScore
from curator.errors import UsageError
from curator.resources import data_file

if TYPE_CHECKING:
    from curator.types import Encoder

NAME = "curator-mini"
PACKAGE = "curator.encoders.mini"


class MiniFamily:
    """The address `mini`."""

    def check(self, rest: str) -> None:
        if rest:
            raise UsageError(f"mini:{rest}: mini is one model and takes nothing behind its name", hint="use mini")

    def load(self, rest: str, options: EncoderOptions) -> Encoder:
        import open_clip

        from curator.encoders.mini.tower import PREPROCESS, fuse
        from curator.encoders.open_clip_encoder import make_towers, untouched_globals
        from curator.encoders.torch_runtime import TorchEncoder

        if NAME not in open_clip.list_models():
            open_clip.add_model_config(data_file(PACKAGE, f"{NAME}.json"))
        with untouched_globals():
            weights = data_file(PACKAGE, f"{NAME}.safetensors")
            module = open_clip.create_model(
                NAME,
                pretrained=str(weights),
                precision="fp32",
                force_preprocess_cfg={"mean": PREPROCESS.mean, "std": PREPROCESS.std},
                require_pretrained=True,
            )
            towers = make_towers(module, open_clip.get_tokenizer(NAME), address=options.address)
        # Only the convolutions are worth a short dtype. The text tower is so narrow that bfloat16 makes it slower
        # (3,300 texts/s against 9,500 on two cores), and the head's softmax over 1,000 classes loses by it.
        return TorchEncoder(replace(towers, castable=fuse(module.visual.trunk)), options)

    def fetch(self, rest: str) -> str:
        return "mini ships with curator: nothing to fetch"

    def suited_score(self, rest: str, id_labels: int) -> SuitedScore:
        # With 10, 50, 200 and 1,000 ID labels the best of the scores that can flag before a calibration, or within a
        # point of it; with its own scale, the temperature of 1, it loses up to 3 points: `make evaluation`.
        return SuitedScore("neglabel:temperature=0.5", "the best of those that flag before a calibration")

    @staticmethod
    def known() -> list[str]:
        return ["mini"]
