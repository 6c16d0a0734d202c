"""The guides work as they are told: their commands run in order, their TOML is read, their Python works."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import curator
from curator.banks import read_spec
from curator.config import Config
from curator.encoders import ENCODERS, EncoderOptions, check_address, load_encoder
from curator.errors import EncoderError
from curator.systems.registry import SYSTEMS
from curator.systems.spec import read_system_spec
from tests import interpreter
from tests.conftest import SMALL_BANK
from tests.docs import running
from tests.docs.running import specs
from tests.docs.test_docs_guides import FOUND, GUIDES
from tests.patience import BRAKE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
FIRST, ENCODERS_GUIDE, BANKS, LEARN = (
    (running.DOCS / f"{name}.md").read_text(encoding="utf-8")
    for name in ("first-scan", "encoders", "banks", "banks-that-learn")
)
# So many commands at least are found in the longest guides.
FEWEST = {"banks": 16, "banks-that-learn": 18, "commands": 40, "operations": 20, "review": 12}


def blocks(guide: str, kind: str) -> list[str]:
    return [text for found, text in running.BLOCK.findall(guide) if found == kind]


@pytest.fixture(scope="module")
def made_site():
    with running.site() as found:
        yield found


@pytest.fixture
def read_guide(made_site, tmp_path):
    """Go through a guide, in a workspace of its own."""

    def go_through(name: str) -> tuple[list[str], Path]:
        _, data, made = made_site
        return running.go_through(name, tmp_path, data, made)

    return go_through


@pytest.mark.slow
def test_the_first_scan_works_as_it_is_told(read_guide):
    commands, root = read_guide("first-scan")
    assert commands[0] == "init my-lake --labels labels.txt" and len(commands) >= 12
    assert curator.open(root).sql("select count(*) as n from report.flagged")["n"][0].as_py() > 0
    named = re.findall(r"^\| (`.*?) \|", FIRST, re.MULTILINE)
    for path in re.findall(r"`([^`]+)`", " ".join(named)):
        if path not in ("queries/*.sql", "generated/"):  # a user's own; only painters make the other
            assert list(root.glob(path)), path


@pytest.mark.slow  # keeps the default run short: `make wheel-test` runs them all
@pytest.mark.parametrize("name", [path.stem for path in GUIDES if path.stem != "first-scan"])
def test_every_command_of_a_guide_works(read_guide, name):
    commands, root = read_guide(name)
    assert len(commands) >= FEWEST.get(name, 0)
    if name == "banks":
        labels = curator.open(root).sql("select name, text from bank join label using (bank_digest)").to_pylist()
        of_site = {row["text"] for row in labels if row["name"] == "site"}
        assert "lens cap" in of_site and "perimeter" not in of_site
        assert "perimeter" in {row["text"] for row in labels if row["name"] == "base"}
    if name == "banks-that-learn":
        learnt = curator.open(root).sql("select name from bank")["name"].to_pylist()
        assert set(SYSTEMS.names()) <= set(learnt) and (root / "ants.html").is_file()


def test_what_is_not_run_is_in_a_guide_with_its_reason():
    lines = [f"{line} " for _, line in FOUND]
    assert [part for part in running.ELSEWHERE if not any(part in line for line in lines)] == []
    for reason in running.ELSEWHERE.values():
        assert all((ROOT / path).exists() for path in re.findall(r"tests/[\w/.]+", reason)), reason


def test_every_spec_of_the_guide_to_banks_is_read(tmp_path):
    found = blocks(BANKS, "toml")
    assert len(found) >= 3
    for text in found:
        path = tmp_path / "bank.toml"
        path.write_text(text, encoding="utf-8")
        assert read_spec(path).name


def test_the_guide_to_banks_that_learn_has_every_system_and_its_spec_is_read(tmp_path):
    rows = set(re.findall(r"^\| `(\w+)` \|", LEARN, re.MULTILINE))
    assert rows == set(SYSTEMS.names())
    path = tmp_path / "ants.toml"
    path.write_text(specs(LEARN)["ants"], encoding="utf-8")
    spec = read_system_spec(path)
    assert spec is not None and spec.settings().images == 200


@pytest.mark.parametrize(
    "text", [text for guide in (ENCODERS_GUIDE, LEARN) for text in blocks(guide, "toml") if text.startswith("[")]
)
def test_configuration_in_a_guide_is_read_and_its_addresses_are_valid(text, tmp_path):
    from curator.generators import ROLES
    from curator.generators import check_address as check_generator

    path = tmp_path / "curator.toml"
    path.write_text(text, encoding="utf-8")
    config = Config.resolve(path, environment={})
    check_address(config.encoder.address)
    for role in ROLES:
        check_generator(role, getattr(config.generators, role))


def test_encoder_addresses_of_the_guide_are_valid():
    found = set(re.findall(r"`([a-z_]+:[\w./?=:-]+)`", ENCODERS_GUIDE))
    assert len(found) >= 9
    for address in found:
        check_address(address)


@pytest.fixture
def own_family(tmp_path, monkeypatch):
    """The encoder of the guide as a reader has it: two files, registered, and forgotten at the end."""
    names = re.findall(r"`(my_\w+\.py)`", ENCODERS_GUIDE)
    for name, text in zip(names, blocks(ENCODERS_GUIDE, "python"), strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ENCODERS, "_targets", dict(ENCODERS._targets))
    ENCODERS.register("colour", "my_encoder:ColourFamily")
    yield tmp_path
    sys.modules.pop("my_encoder", None)


def test_the_encoder_of_the_guide_keeps_the_contract_of_all(own_family):
    from tests.contracts import test_contract_encoders as contract

    encoder = load_encoder(EncoderOptions("colour", batch_size=4, text_batch_size=4))
    size = encoder.preprocess.size
    pixels = contract.np.random.default_rng(0).integers(0, 256, (11, size, size, 3), dtype="uint8")
    given = {"encoder": encoder, "address": "colour", "dtype": "float32", "pixels": pixels}
    held = 0
    for name, rule in vars(contract).items():
        if name.startswith("test_") and (wanted := inspect.signature(rule).parameters).keys() <= given.keys():
            rule(**{key: given[key] for key in wanted})
            held += 1
    assert held >= 12
    for wrong in (pixels[:, :-1], pixels.astype("float32"), pixels[0]):
        with pytest.raises(EncoderError, match="expected uint8"):
            encoder.encode_images(wrong)


def test_a_workspace_works_with_the_encoder_of_the_guide(own_family, lake):
    workspace = curator.create(own_family / "lake-of-colours", labels=["red", "green"], encoder="colour")
    workspace.layout.bank_spec("base").write_text(SMALL_BANK, encoding="utf-8")
    workspace.scan(lake)
    nearest = workspace.sql("select uri, top_id from report.scores where uri like '%red-0%' or uri like '%green-0%'")
    assert nearest.num_rows >= 4 and all(row["top_id"] in row["uri"] for row in nearest.to_pylist())


def test_the_program_of_the_guide_knows_its_encoder(own_family):
    (own_family / "labels.txt").write_text("red\n", encoding="utf-8")
    line = next(line for line in re.findall(r"`python (my_\w+\.py init [^`]+)`", ENCODERS_GUIDE))
    done = subprocess.run(
        [*interpreter.command(), *shlex.split(line)],
        cwd=own_family,
        capture_output=True,
        text=True,
        timeout=BRAKE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert 'address = "colour"' in (own_family / "my-lake" / "curator.toml").read_text(encoding="utf-8")
