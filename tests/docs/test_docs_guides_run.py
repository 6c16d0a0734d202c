"""The guides to first scans, encoders and banks: their commands run in order, their TOML is read, their Python works.

A small lake and the fake encoder stand in for the reader's; what needs a model or a service that is not here is only
parsed (test_docs_guides.py).
"""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import curator
from curator.banks import read_spec
from curator.cli import cli
from curator.config import Config
from curator.encoders import ENCODERS, EncoderOptions, check_address, load_encoder
from curator.errors import EncoderError
from curator.systems.registry import SYSTEMS
from curator.systems.spec import read_system_spec
from tests.conftest import SMALL_BANK
from tests.docs.test_docs_guides import commands_of
from tests.patience import BRAKE_SECONDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
FIRST, ENCODERS_GUIDE, BANKS, LEARN = (
    (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for name in ("first-scan", "encoders", "banks", "banks-that-learn")
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
ELSEWHERE = ("endpoint:", "transformers:", "diffusers:", "open_clip:")
# Mining all of WordNet takes the fake encoder half a minute.
SMALL = 'include = ["noun.shape", "noun.motive"]'


def blocks(guide: str, kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(guide) if found == kind]


def commands(guide: str) -> list[list[str]]:
    """Those of blocks in their order, then those inside sentences that say more than a command's name, each as words;
    without what needs models, and without what has a NAME to be filled in."""
    in_order = [shlex.split(line) for line in commands_of("\n".join(match[0] for match in BLOCK.finditer(guide)))]
    inside = [words for words in map(shlex.split, commands_of(guide)) if words not in in_order and not is_name(words)]
    return [words for words in in_order + inside if not any(address in str(words) for address in ELSEWHERE)]


def is_name(words: list[str]) -> bool:
    """Whether they only name a command, as `bank audit` does, or are to be filled in."""
    command: click.Command | None = cli
    for word in words:
        command = command.commands.get(word) if isinstance(command, click.Group) else None
    return command is not None or "NAME" in words or words[0] == "-w"


def specs(guide: str) -> dict[str, str]:
    """The specs of a guide by the name in them, so written that they build at once."""
    found = {}
    for text in blocks(guide, "toml"):
        if (name := re.search(r'^name = "(\w+)"', text, re.MULTILINE)) is not None:
            small = re.sub(r"^exclude = .*", SMALL, text.replace("tram =", "red ="), flags=re.MULTILINE)
            found[name[1]] = small if "parent" in text or SMALL in small else f"{text}[negatives.wordnet]\n{SMALL}\n"
    return found


@pytest.fixture
def known(lake, tmp_path):
    """Two images that are known to be ID, apart from the lake."""
    folder = tmp_path / "known-id"
    folder.mkdir()
    for number in (0, 4):
        (folder / f"red-{number:02d}.png").write_bytes((lake / f"red-{number:02d}.png").read_bytes()[:-1] + b"\x82")
    return folder


@pytest.fixture
def run_line(run_cli, lake, known):
    """Run the words of a command with the lake and images that are here."""
    here = {"/data/incoming": lake, "/data/known-id": known, "cat-0042.jpg": "blue-02.png"}

    def run(words: list[str]):
        replaced = words
        for there, place in here.items():
            replaced = [word.replace(there, str(place)) for word in replaced]
        return run_cli(*replaced)

    return run


@pytest.fixture
def scanned(first_night, monkeypatch):
    workspace, _ = first_night
    (workspace.layout.root / "words.txt").write_text("graffiti\nscreenshot\n", encoding="utf-8")
    monkeypatch.chdir(workspace.layout.root)
    return workspace


def test_the_first_scan_works_as_it_is_told(run_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("labels.txt").write_text("# labels.txt\nred\ngreen\n", encoding="utf-8")
    first, *others = commands(FIRST)
    assert first == ["init", "my-lake", "--labels", "labels.txt"] and len(others) >= 12
    run_line([*first, "--encoder", "fake"])
    monkeypatch.chdir(tmp_path / "my-lake")
    Path("banks/base.toml").write_text(SMALL_BANK, encoding="utf-8")
    for words in others:
        assert run_line(words).output, words
    assert Path("why.html").is_file() and Path("night.html").is_file()
    workspace = curator.open()
    assert workspace.sql("select count(*) as n from report.flagged")["n"][0].as_py() > 0
    named = re.findall(r"^\| (`.*?) \|", FIRST, re.MULTILINE)
    for path in re.findall(r"`([^`]+)`", " ".join(named)):
        if path not in ("queries/*.sql", "generated/"):  # a user's own; only painters make the other
            assert list(Path().glob(path)), path


def test_every_spec_of_the_guide_to_banks_is_read(tmp_path):
    found = blocks(BANKS, "toml")
    assert len(found) >= 3
    for text in found:
        path = tmp_path / "bank.toml"
        path.write_text(text, encoding="utf-8")
        assert read_spec(path).name


@pytest.mark.slow  # keeps the default run short: three banks, built, shown and measured
def test_every_command_of_the_guide_to_banks_works(scanned, run_line):
    for name, text in specs(BANKS).items():
        scanned.layout.bank_spec(name).write_text(text, encoding="utf-8")
    ran = commands(BANKS)
    assert len(ran) >= 16
    for words in ran:
        assert run_line(words).output, words
    labels = scanned.sql("select name, text from bank join label using (bank_digest)").to_pylist()
    assert {row["name"] for row in labels} == {"base", "site", "csp"}
    of_site = {row["text"] for row in labels if row["name"] == "site"}
    assert "lens cap" in of_site and "perimeter" not in of_site
    assert "perimeter" in {row["text"] for row in labels if row["name"] == "base"}


@pytest.mark.slow  # half a minute: all six systems
def test_every_command_of_the_guide_to_banks_that_learn_works(scanned, run_line, monkeypatch):
    """Two reference images judge nothing, so that here nothing is refused."""
    for rule in ("refuse_without_excess", "refuse_without_judges", "refuse_if_worse"):
        monkeypatch.setattr(f"curator.workspace.learn.run.{rule}", lambda *given: None)
    ran = commands(LEARN)
    assert len(ran) >= 18
    for words in ran:
        assert run_line(words).output, words
        if words[:2] == ["bank", "ants"] and "--max-calls" in words:  # the spec of the guide, from now on
            scanned.layout.bank_spec("ants").write_text(specs(LEARN)["ants"], encoding="utf-8")
    made = set(scanned.sql("select name from bank")["name"].to_pylist())
    assert set(SYSTEMS.names()) <= made
    assert Path("ants.html").is_file()


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
        [sys.executable, *shlex.split(line)], cwd=own_family, capture_output=True, text=True, timeout=BRAKE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    assert 'address = "colour"' in (own_family / "my-lake" / "curator.toml").read_text(encoding="utf-8")
