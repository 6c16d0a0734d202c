"""Tiny chat models with random weights, saved the way real ones are: every family without a download.

Loaded by path (see conftest.py), as test folders are no packages. Each is built from its configuration, with a
tokenizer of one token a byte; their answers are noise, but noise that depends on all that they were shown.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

PLAIN = ("<pad>", "<s>", "</s>", "<image>")
QWEN = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
IDEFICS = (
    *PLAIN, "<fake_token_around_image>", "<end_of_utterance>", "<global-img>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 3) for column in range(1, 3)),
)  # fmt: skip
TEXT = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 4096,
}  # fmt: skip

# Shapes of real templates: parts in order, a mark for each image, an opening for the answer.
PARTS = (
    "{% for message in messages %}{START}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{IMAGE}{% else %}{{ part['text'] }}{% endif %}{% endfor %}{END}{% endfor %}"
    "{% if add_generation_prompt %}{OPEN}{% endif %}"
)
CHATML = {"START": "<|im_start|>{{ message['role'] }}\n", "END": "<|im_end|>\n", "OPEN": "<|im_start|>assistant\n"}
PLAINLY = {"START": "{{ message['role'] | upper }}: ", "END": "\n", "OPEN": "ASSISTANT:"}


def template(image: str, marks: dict[str, str]) -> str:
    text = PARTS.replace("{IMAGE}", image)
    for name, mark in marks.items():
        text = text.replace(f"{{{name}}}", mark)
    return text


def tokenizer(special: tuple[str, ...], *, end: str, pad: str) -> Any:
    """One token a byte, and the special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(
        models.BPE(vocab={token: number for number, token in enumerate([*special, *alphabet])}, merges=[])
    )
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(list(special))
    named = {"image_token": "<image>"} if "<image>" in special else {}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token=end, pad_token=pad, additional_special_tokens=list(special), **named
    )


def seeded(build: Callable[[], Any]) -> Any:
    """A model whose weights are large enough that what it is shown matters, and that never ends its answer early."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model = build()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.normal_(std=parameter[0].numel() ** -0.5)
    return model.eval()


def save(folder: Path, model: Any, processor: Any) -> Path:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def llava_folder(folder: Path) -> Path:
    tokens = tokenizer(PLAIN, end="</s>", pad="<pad>")
    vision = transformers.CLIPVisionConfig(
        image_size=28, patch_size=14, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    )
    config = transformers.LlavaConfig(
        text_config=transformers.LlamaConfig(**TEXT, vocab_size=len(tokens), **special_ids(tokens)),
        vision_config=vision, image_token_index=tokens.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2, vision_feature_select_strategy="default", image_seq_length=4,
    )  # fmt: skip
    processor = transformers.LlavaProcessor(
        image_processor=transformers.CLIPImageProcessor(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
        ),
        tokenizer=tokens, patch_size=14, num_additional_image_tokens=1, vision_feature_select_strategy="default",
        chat_template=template("<image>\n", PLAINLY),
    )  # fmt: skip
    return save(folder, seeded(lambda: transformers.LlavaForConditionalGeneration(config)), processor)


def qwen_folder(folder: Path, version: str) -> Path:
    """Version 2, 2.5 or 3 of Qwen-VL."""
    tokens = tokenizer(QWEN, end="<|im_end|>", pad="<|endoftext|>")
    ids = {
        name: tokens.convert_tokens_to_ids(f"<|{name}|>")
        for name in ("image_pad", "video_pad", "vision_start", "vision_end")
    }
    rope = {"rope_type": "default", "type": "mrope", "mrope_section": [1, 1, 2], "rope_theta": 1e4}
    text = {**TEXT, "vocab_size": len(tokens), "rope_parameters": rope, **special_ids(tokens)}
    vision = {"depth": 2, "num_heads": 4, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    if version == "2":
        vision |= {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}
    else:
        vision |= {"hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32}
    if version == "2.5":
        vision |= {"window_size": 56, "fullatt_block_indexes": [1]}
    if version == "3":
        vision |= {"patch_size": 16, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
        text |= {"head_dim": 8, "rope_parameters": {**rope, "mrope_interleaved": True}}
    names = {"2": "Qwen2VL", "2.5": "Qwen2_5_VL", "3": "Qwen3VL"}
    config = getattr(transformers, f"{names[version]}Config")(
        text_config=text, vision_config=vision, image_token_id=ids["image_pad"], video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"], vision_end_token_id=ids["vision_end"], tie_word_embeddings=False,
    )  # fmt: skip
    sizes = {
        "patch_size": vision["patch_size"],
        "merge_size": 2,
        "size": {"shortest_edge": 56 * 56, "longest_edge": 112 * 112},
    }
    video = "Qwen3VLVideoProcessor" if version == "3" else "Qwen2VLVideoProcessor"
    processor = getattr(transformers, f"{names[version]}Processor")(
        image_processor=transformers.Qwen2VLImageProcessor(**sizes),
        tokenizer=tokens, video_processor=getattr(transformers, video)(**sizes),
        chat_template=template("<|vision_start|><|image_pad|><|vision_end|>", CHATML),
    )  # fmt: skip
    model = getattr(transformers, f"{names[version]}ForConditionalGeneration")
    return save(folder, seeded(lambda: model(config)), processor)


def smolvlm_folder(folder: Path, *, idefics: bool = False) -> Path:
    name = "Idefics3" if idefics else "SmolVLM"
    tokens = tokenizer(IDEFICS, end="<end_of_utterance>", pad="<pad>")
    vision = {
        "image_size": 32, "patch_size": 8, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }  # fmt: skip
    config = getattr(transformers, f"{name}Config")(
        text_config=transformers.LlamaConfig(**TEXT, vocab_size=len(tokens), **special_ids(tokens)),
        vision_config=vision, image_token_id=tokens.convert_tokens_to_ids("<image>"), scale_factor=2,
        tie_word_embeddings=False, pad_token_id=tokens.pad_token_id,
    )  # fmt: skip
    sizes = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 32}}
    parts: dict[str, Any] = {
        "image_processor": getattr(transformers, f"{name}ImageProcessor")(**sizes, do_image_splitting=True),
        "tokenizer": tokens, "image_seq_len": 4,
        "chat_template": template("<image>", PLAINLY | {"END": "<end_of_utterance>\n"}),
    }  # fmt: skip
    if not idefics:
        parts["video_processor"] = transformers.SmolVLMVideoProcessor(size={"longest_edge": 64})
    processor = getattr(transformers, f"{name}Processor")(**parts)
    return save(folder, seeded(lambda: getattr(transformers, f"{name}ForConditionalGeneration")(config)), processor)


def text_folder(folder: Path) -> Path:
    """A text model: it sees nothing, and its template takes texts, not parts."""
    tokens = tokenizer(QWEN, end="<|im_end|>", pad="<|endoftext|>")
    tokens.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] + '\n' + message['content'] }}<|im_end|>\n"
        "{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    config = transformers.LlamaConfig(**TEXT, vocab_size=len(tokens), **special_ids(tokens))
    return save(folder, seeded(lambda: transformers.LlamaForCausalLM(config)), tokens)


def special_ids(tokens: Any) -> dict[str, int]:
    return {
        "bos_token_id": tokens.eos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }


FAMILIES: dict[str, Callable[[Path], Path]] = {
    "llava": llava_folder,
    "qwen2-vl": lambda folder: qwen_folder(folder, "2"),
    "qwen2.5-vl": lambda folder: qwen_folder(folder, "2.5"),
    "qwen3-vl": lambda folder: qwen_folder(folder, "3"),
    "idefics3": lambda folder: smolvlm_folder(folder, idefics=True),
    "smolvlm": smolvlm_folder,
}
