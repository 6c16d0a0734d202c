"""The endpoint client against a real service: `transformers serve` on loopback, with a tiny model."""

from __future__ import annotations

import importlib.util
import io
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from curator.generators import GeneratorOptions, make_generator
from curator.generators.prompts import Prompt
from curator.generators.requests import Picture, Reply, Request, Turn

START_SECONDS = 600.0  # it took 11 on two cores, 45 beside other work
SAY = Prompt("say", 1, "labels", "Say {word}", {"word": "text"})


@dataclass(frozen=True)
class Service:
    url: str
    model: Path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    missing = [
        name for name in ("fastapi", "uvicorn", "openai", "accelerate") if importlib.util.find_spec(name) is None
    ]
    if missing:
        pytest.skip(f"`transformers serve` needs {', '.join(missing)}: pip install 'transformers[serving]'")
    folder = tmp_path_factory.mktemp("serve")
    path = Path(__file__).with_name("tiny_chat_models.py")
    spec = importlib.util.spec_from_file_location("curator_served_models", path)
    tiny: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--device", "cpu"], stdout=log, stderr=log, env=environment)
    try:
        model = tiny.qwen_folder(folder / "model", "3")
        wait_for(process, f"http://127.0.0.1:{port}/health", folder / "log")
        yield Service(f"http://127.0.0.1:{port}/v1", model)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            opener.open(url, timeout=2).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the service did not start: {log.read_text(errors='replace')[-2000:]}")


def picture(colour: str) -> Picture:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(buffer, "PNG")
    return Picture(colour, buffer.getvalue)


def collect(service: Service, requests: list[Request]) -> list[Reply]:
    options = GeneratorOptions(base_url=service.url, max_new_tokens=6, concurrency=2, retries=0)
    generator = make_generator("describer", f"endpoint:{service.model}", options, None)
    try:
        return sorted(generator.replies(requests, allow=lambda: True), key=lambda reply: reply.position)
    finally:
        generator.close()


@pytest.mark.slow
def test_a_real_service_answers_what_it_is_shown(service):
    red, blue = picture("red"), picture("blue")
    requests = [
        Request(SAY, {"word": "cat"}, (red,)),
        Request(SAY, {"word": "cat"}, (blue,)),
        Request(SAY, {"word": "cat"}, (red,)),
        Request(SAY, {"word": "more"}, history=(Turn(Request(SAY, {"word": "cat"}, (red,)), "a cat"),)),
    ]
    replies = collect(service, requests)
    assert [reply.fault for reply in replies] == [None] * 4
    texts = [reply.text for reply in replies]
    assert texts[0] == texts[2]
    assert texts[0] != texts[1], "the image reaches the model"
    assert replies[0].facts["completion_tokens"] == 6
    assert replies[0].facts["prompt_tokens"] > 20
