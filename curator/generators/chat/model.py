"""A loaded chat model of transformers: conversations in, texts out. Imported with the first request only.

The model's own chat template writes the prompt and only what comes after it is decoded. Batches are padded on the left,
since a text that goes on must end where its answer begins. Labels and descriptions are strangers' texts: what they hold
of the tokenizer's control tokens (an end of turn, a place for an image) is taken out, as it would be obeyed.
"""

from __future__ import annotations

import gc
import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from curator.encoders.hub import ONLY_DATA, no_network, without_progress
from curator.encoders.torch_runtime import resolve_device, resolve_dtype
from curator.errors import CuratorError, EncoderError, GeneratorError, MissingExtra
from curator.generators import GeneratorOptions
from curator.generators.requests import Role
from curator.printable import said_by

CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
ChatMessage: TypeAlias = dict[str, Any]  # `role` and `content`, as the chat templates of transformers take them
Conversation: TypeAlias = list[ChatMessage]
SWITCHES = ("enable_thinking", "thinking")  # of chat templates: Qwen3's, DeepSeek's and Granite's


def context_of(folder: Path, address: str) -> int | None:
    """The tokens of prompt and answer that a model holds, as its configuration says; None where it does not say.

    Loads no weights. Raises GeneratorError for what is no model.
    """
    with _clear_faults(address, f"{folder} is no model that can be loaded"), no_network():
        return context_in(transformers.AutoConfig.from_pretrained(folder, **ONLY_DATA))


def context_in(config: Any) -> int | None:
    found = [getattr(config.get_text_config(), name, None) for name in CONTEXT_NAMES]
    return next((value for value in found if type(value) is int and value > 0), None)


def load_chat_model(folder: Path, address: str, role: Role, options: GeneratorOptions) -> ChatModel:
    """Load the weights onto the device. Raises GeneratorError, MissingExtra."""
    try:
        device = resolve_device(options.device)
        dtype = resolve_dtype(options.dtype, device)
    except EncoderError as error:  # told in the words of encoders, but true of any model
        raise GeneratorError(f"{address}: {error.message}", hint=error.hint) from error
    how = {"dtype": dtype, **(_four_bits(address, device, dtype) if options.quantise == "4bit" else {})}
    with (
        _clear_faults(address, f"{folder} is no model that can be loaded"),
        no_network(),
        without_progress(transformers.utils.logging),
    ):
        config = transformers.AutoConfig.from_pretrained(folder, **ONLY_DATA)
        sees = config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
        if role in ("describer", "viewer") and not sees:
            raise GeneratorError(f"{address}: a model of type {config.model_type!r} sees no images")
        kind: Any = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
        module, report = kind.from_pretrained(folder, output_loading_info=True, weights_only=True, **ONLY_DATA, **how)
        processor = (transformers.AutoProcessor if sees else transformers.AutoTokenizer).from_pretrained(
            folder, **ONLY_DATA
        )
        if options.quantise != "4bit":
            module = module.to(device)
    if report["missing_keys"]:  # transformers only warns, and leaves them random
        names = ", ".join(sorted(report["missing_keys"])[:3])
        raise GeneratorError(f"{address}: the weights in {folder} lack {names}")
    if not getattr(processor, "chat_template", None):
        raise GeneratorError(
            f"{address}: it has no chat template", hint="choose a model that was tuned to instructions"
        )
    return ChatModel(module.eval(), processor, address, sees=sees)


class Said(NamedTuple):
    """An answer without the prompt and special tokens. cut: it ended with the last token that it was allowed."""

    text: str
    prompt_tokens: int
    tokens: int
    cut: bool


class ChatModel:
    """`module` and `processor` (a tokenizer where the model `sees` nothing), ready on their device.

    thinks: before it answers, by its chat template, which has no switch for it; where there is one, it is off.
    """

    def __init__(self, module: Any, processor: Any, address: str, *, sees: bool) -> None:
        self.context = context_in(module.config)
        self.module = module
        self.processor = processor
        self.address = address
        self.sees = sees
        self._tokenizer = getattr(processor, "tokenizer", processor)
        self._tokenizer.padding_side = "left"
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._control_tokens = _control_tokens(self._tokenizer)
        ends = module.generation_config.eos_token_id or self._tokenizer.eos_token_id
        self._ends = torch.tensor(ends, device=module.device).reshape(-1)
        template = str(processor.chat_template)  # of some processors a table of several
        self._switches = {name: False for name in SWITCHES if re.search(rf"\b{name}\b", template)}
        self.thinks = not self._switches and "think>" in template

    def inputs(self, conversations: list[Conversation]) -> Any:
        """What the model takes, (n, length) and left-padded, on its device. Raises ValueError for what does not fit."""
        prepared = [[self._message(message) for message in conversation] for conversation in conversations]
        with _clear_faults(self.address, "its processor does not work", passing=(ValueError,)), no_network():
            batch = self.processor.apply_chat_template(
                prepared,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                **self._switches,
                **({"processor_kwargs": {"padding": True}} if self.sees else {"padding": True}),
            )
            longest = int(batch["attention_mask"].sum(dim=1).max())
            if self.context is not None and longest >= self.context:
                raise ValueError(f"it has {longest} tokens, the model holds {self.context} with its answer")
            return batch.to(self.module.device, dtype=self.module.dtype) if self.sees else batch.to(self.module.device)

    def generate(self, inputs: Any, most: int) -> list[Said]:
        """The greedy answer to each conversation, of at most so many tokens and what the model holds besides. Raises
        GeneratorError."""
        made: Any = transformers.GenerationConfig
        settings = made(
            max_new_tokens=most if self.context is None else min(most, self.context - inputs["input_ids"].shape[1]),
            do_sample=False,
            eos_token_id=self._ends.tolist(),
            pad_token_id=self._tokenizer.pad_token_id,
        )
        with _clear_faults(self.address, "it cannot generate"), torch.inference_mode():
            tokens = self.module.generate(**inputs, generation_config=settings)
        new = tokens[:, inputs["input_ids"].shape[1] :]
        texts: list[str] = self._tokenizer.batch_decode(new, skip_special_tokens=True)
        ended = torch.isin(new, self._ends)  # (n, new tokens)
        lengths = torch.where(ended.any(dim=1), ended.int().argmax(dim=1) + 1, new.shape[1]).tolist()
        asked = inputs["attention_mask"].sum(dim=1).tolist()
        rows = zip(texts, asked, lengths, ended.any(dim=1).tolist(), strict=True)
        return [Said(text.strip(), prompt, tokens, not whole) for text, prompt, tokens, whole in rows]

    def close(self) -> None:
        """Free the weights; the model cannot be used again."""
        self.module = self.processor = self._tokenizer = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _message(self, message: ChatMessage) -> ChatMessage:
        parts = [
            {**part, "text": self._plain(part["text"])} if part["type"] == "text" else part
            for part in message["content"]
        ]
        if self.sees:
            return {**message, "content": parts}
        if len(parts) != 1:
            raise GeneratorError(f"{self.address}: it sees no images, and it is shown one", hint="name one as viewer")
        return {**message, "content": parts[0]["text"]}  # templates of text models know no parts

    def _plain(self, text: str) -> str:
        for token in self._control_tokens:
            text = text.replace(token, " ")
        return text


def _control_tokens(tokenizer: Any) -> list[str]:
    """The longest first, so that none is left of the pieces of another."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return sorted((token for token in {*added, *tokenizer.all_special_tokens} if token.strip()), key=len, reverse=True)


def _four_bits(address: str, device: torch.device, dtype: torch.dtype) -> dict[str, object]:
    """How a model is loaded in four bits. Raises GeneratorError without a GPU, MissingExtra without bitsandbytes."""
    if device.type != "cuda":
        raise GeneratorError(f"{address}: 4 bits need a CUDA device, this runs on {device}", hint="quantise = none")
    for package in ("bitsandbytes", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, extra="vlm", needed_for=f"{address} in 4 bits")
    made: Any = transformers.BitsAndBytesConfig
    settings = made(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype, bnb_4bit_use_double_quant=True
    )
    return {"quantization_config": settings, "device_map": {"": device}}


@contextmanager
def _clear_faults(address: str, what: str, *, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Whatever the libraries raise, as one clear line."""
    try:
        yield
    except CuratorError:
        raise
    except torch.OutOfMemoryError as error:
        raise GeneratorError(
            f"{address}: the GPU has too little memory", hint="lower the batch size of generators, or quantise = 4bit"
        ) from error
    except ImportError as error:
        raise GeneratorError(
            f"{address}: it needs a package that is not installed: {said_by(error, whole=True)}",
            hint="pip install 'ood-curator[vlm]'",
        ) from error
    # Broad on purpose: transformers, tokenizers, Jinja and safetensors raise what they like on what does not fit.
    except Exception as error:
        if isinstance(error, passing):
            raise
        raise GeneratorError(f"{address}: {what}: {said_by(error, whole=True)}") from error
