"""What rules: it changes by `use` and a calibration alone, and whoever shows what depends on it says what it is."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import Result

from curator.config import Config
from curator.errors import BankError, ConfigError, UsageError
from curator.workspace import Workspace
from curator.workspace.config_file import with_options
from curator.workspace.judge.in_force import ruled_lines
from curator.workspace.judge.suited import suited_method
from curator.workspace.keep.recover import recover_workspace
from tests.conftest import SMALL_BANK

Run = Callable[..., Result]
RULING = "select bank_name || '@v' || bank_version as bank, split_part(method_id, '(', 1) as method, policy_name"


@pytest.fixture
def scanned(first_night: tuple[Workspace, Path]) -> Workspace:
    workspace, _ = first_night
    other = SMALL_BANK.replace('"base"', '"other"').replace("noun.motive", "noun.relation")
    workspace.layout.bank_spec("other").write_text(other, encoding="utf-8")
    return workspace


@pytest.fixture
def reference(first_night: tuple[Workspace, Path], tmp_path: Path) -> Path:
    """Images known to be ID: the red ones of the lake."""
    folder = tmp_path / "reference"
    folder.mkdir()
    for path in first_night[1].glob("red-*.png"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def ruling(workspace: Workspace) -> tuple[str, str, str | None]:
    """Bank, method and policy as the report views have them."""
    (row,) = workspace.sql(f"{RULING} from report.selection").to_pylist()
    return row["bank"], row["method"], row["policy_name"]


def test_scores_change_nothing_and_use_is_for_good(scanned, first_night):
    assert ruling(scanned) == ("base@v1", "neglabel", "default")
    flags = scanned.sql("select uri, id_score, flagged from report.scores order by uri")
    summary = scanned.score(bank="other", method="max_logit")
    assert [item.rescored for item in summary.scorings] == [14] and summary.ruled_by == scanned.in_force()
    assert scanned.sql("select uri, id_score, flagged from report.scores order by uri").equals(flags)
    used = scanned.use("other", "neglabel")
    assert used.rescored == 14 and str(used.ruled_before).startswith("bank base@v1, method neglabel(")
    assert ruling(scanned) == ("other@v1", "neglabel", "default") == ruling(Workspace.open(scanned.layout.root))
    for workspace in (scanned, Workspace.open(scanned.layout.root)):  # the next night, here or by cron
        night = workspace.scan(first_night[1])
        assert night.ruled_by == used.ruled_by and night.ruled_before is None
    assert all(result.healthy for result in scanned.check())


def test_a_bare_name_of_a_method_goes_back_to_the_one_calibrated(scanned, reference, run_cli):
    """And what `use` prints goes back to the very thing that ruled."""
    root, halved = scanned.layout.root, "neglabel:temperature=0.5"
    scanned.use("base", halved)
    Workspace.open(root).calibrate(reference, keep=0.5)
    calibrated = scanned.in_force()
    assert calibrated.policy == "keep-0.5"
    told = run_cli("use", "base", "mcm", folder=root).stdout.splitlines()
    assert told[-1] == f"back: curator use base {halved} --policy keep-0.5"
    told = run_cli("use", "base", "neglabel", folder=root).stdout.splitlines()
    assert told[0].startswith(f"neglabel: taken as {halved}, calibrated last; ")
    assert scanned.in_force() == calibrated and Config.resolve(scanned.layout.config).scan.method == halved
    used = scanned.use("base", "neglabel()")
    assert used.ruled_by.method == "neglabel" and used.back == {"bank": "base", "method": halved, "policy": "keep-0.5"}
    assert scanned.use(**used.back).back == {"bank": "base", "method": "neglabel()", "policy": "default"}
    assert scanned.in_force() == calibrated
    assert scanned.use(policy="default").back == {"policy": "keep-0.5"}


def test_a_lake_that_is_its_own_reference_is_told_of_and_can_be_forgotten(scanned, reference, first_night, run_cli):
    root, lake = scanned.layout.root, first_night[1]
    (reference / "own.png").write_bytes((lake / "red-00.png").read_bytes() + b"of its own")
    assert scanned.calibrate(reference).in_lake == 3
    told = run_cli("calibrate", "--reference", lake, "--keep", 0.9, folder=root).stderr
    assert "14 of 14 reference images are images of the lake: a cut that keeps 90 % of them flags 10 %" in told
    again = scanned.calibrate()
    assert again.reference_images == 15 and again.sources == (str(lake), str(reference))
    wanted = "select sources from report.calibrations where calibration_id = $wanted"
    (stored,) = scanned.sql(wanted, {"wanted": again.calibration_id})["sources"].to_pylist()
    assert json.loads(stored) == list(again.sources)
    told = run_cli("calibrate", "--forget", lake, folder=root)
    assert told.stdout.startswith(f"reference: all that was named before, {reference}\n")
    assert " of 4 reference images;" in told.stdout
    assert scanned.sql("select count(*) as images from report.images")["images"][0].as_py() == 14
    told = run_cli("calibrate", "--forget", lake, folder=root, code=2).stderr
    assert f"{lake}: nothing of it is a reference" in told
    with pytest.raises(UsageError, match="is to be a reference and forgotten"):
        scanned.calibrate(reference, forget=[reference])
    assert scanned.calibrate(lake, forget=[reference]).reference_images == 14


def test_a_night_goes_by_the_rule_of_the_policy_that_was_chosen_by_hand(scanned, reference, run_cli):
    def night(*options: object) -> str:
        given = ("--reference", reference, "--unless-chosen", "--keep", 0.95, *options)
        return run_cli("calibrate", *given, folder=scanned.layout.root).stdout

    assert scanned.policy_chosen() is None, "the default rules by itself"
    assert "policy keep-0.95: flag" in night() and scanned.policy_chosen() is None
    assert ruling(scanned)[2] == "keep-0.95"
    scanned.calibrate(alpha=0.5, name="mine")
    reference.joinpath("red-00.png").unlink()
    assert "policy mine: flag" in night()
    columns = "policy_name, rule, level, reference_images"
    (policy,) = scanned.sql(f"select {columns} from report.policies where selected").to_pylist()
    assert policy == {"policy_name": "mine", "rule": "alpha", "level": 0.5, "reference_images": 2}
    scanned.use(policy="default")
    assert night() == "policy default was chosen by hand and rules on; `curator calibrate --keep 0.95` makes another\n"
    assert ruling(scanned)[2] == "default"
    scanned.use("other", "neglabel")
    assert scanned.policy_chosen().name == "default", "a bank was chosen, and no policy"


def test_a_version_that_is_used_stays_and_a_name_goes_on_with_the_newest_and_says_so(scanned, first_night, run_cli):
    def rebuild(corpus: str) -> None:
        spec = scanned.layout.bank_spec("base")
        spec.write_text(spec.read_text().replace('"noun.motive"', corpus))
        scanned.build_bank()

    rebuild('"noun.relation"')
    assert ruling(scanned) == ("base@v1", "neglabel", "default"), "a bank that is built rules nothing yet"
    (warning,) = [item for item in scanned.doctor() if item.subject == "ruling"]
    assert warning.state == "warning" and "the next scan puts bank base@v2, method neglabel in force" in warning.message
    shown = run_cli("scan", first_night[1], folder=scanned.layout.root).stdout
    assert "ruled by bank base@v2, method neglabel, " in shown and "now; before: bank base@v1\n" in shown
    scanned.use("base@v1", "neglabel")
    rebuild('"noun.time"')
    assert scanned.scan(first_night[1]).ruled_before is None and ruling(scanned)[0] == "base@v1"
    (found,) = [item for item in scanned.doctor() if item.subject == "ruling"]
    assert found.state == "ok" and found.message.startswith("ruled by bank base@v1, ")
    edited = Workspace.open(scanned.layout.root, overrides={"scan.method": "neglabel:temperature=0.5"})
    (found,) = [item for item in edited.doctor() if item.subject == "ruling"]
    assert "the next scan puts bank base@v1, method neglabel:temperature=0.5 in force" in found.message


def test_a_calibration_rules_at_once_or_says_which_command_lets_it(scanned, reference, first_night, run_cli):
    root = scanned.layout.root
    shown = run_cli("calibrate", "--reference", reference, "--keep", "0.9", folder=root).stdout
    assert "policy keep-0.9 now; before: policy default" in shown and "put it in force" not in shown
    ask = ("calibrate", "--bank", "other", "--method", "neglabel", "--keep", "0.5")
    shown = run_cli(*ask, folder=root).stdout
    assert "policy keep-0.5 of bank other@v1, neglabel(" in shown and "would flag" in shown
    assert shown.splitlines()[-1] == "put it in force by `curator use other neglabel --policy keep-0.5`"
    assert ruling(scanned) == ("base@v1", "neglabel", "keep-0.9")
    assert scanned.scan(first_night[1]).ruled_before is None
    with pytest.raises(UsageError, match=r"keep-0.9 is of neglabel.* on bank base@v1, and not of .* on other@v1") as no:
        scanned.use("other", "neglabel", policy="keep-0.9")
    assert no.value.hint == "make one: curator calibrate --keep 0.9 --bank other --method neglabel"
    assert run_cli(*str(no.value.hint).split()[3:], folder=root).stdout, "it is the command that it says"
    assert scanned.use("other", "neglabel").ruled_by.policy == "keep-0.9", "the one calibrated last"
    assert scanned.use("other", "neglabel", policy="keep-0.5").ruled_by.policy == "keep-0.5"
    assert scanned.use("base", "neglabel").ruled_by.policy == "keep-0.9"
    assert scanned.use("other", "neglabel").ruled_by.policy == "keep-0.5", "the one chosen last"
    assert scanned.use("base", "neglabel", policy="default").ruled_by.policy == "default"
    assert run_cli("calibrate", "use", "keep-0.9", folder=root).stdout == run_cli_again(run_cli, root)
    assert all(result.healthy for result in scanned.check())


def run_cli_again(run_cli: Run, root: Path) -> str:
    """What `use --policy` says from the same state as `calibrate use` was called in."""
    run_cli("use", "--policy", "default", folder=root)
    return str(run_cli("use", "--policy", "keep-0.9", folder=root).stdout)


def test_a_policy_that_is_left_behind_is_named_with_the_command_that_makes_another(scanned, reference, first_night):
    scanned.calibrate(reference, alpha=0.2, by_class=True, minimum=1)
    spec = scanned.layout.bank_spec("base")
    spec.write_text(spec.read_text().replace("noun.motive", "noun.relation"))
    scanned.build_bank()
    night = scanned.scan(first_night[1])
    assert night.ruled_by is not None
    said = ruled_lines(night.ruled_by, night.ruled_before)
    assert said[0].endswith("policy default now; before: bank base@v1, policy alpha-0.2-by-class")
    assert said[1] == (
        "policy alpha-0.2-by-class is of bank base@v1 and judges nothing else: "
        "`curator calibrate --alpha 0.2 --by-class` makes one of what rules now"
    )


def test_what_cannot_rule_is_refused_and_leaves_all_as_it_was(scanned, monkeypatch, run_cli):
    before, config = scanned.sql("select * from main.selection"), scanned.layout.config.read_bytes()
    for given, fault, message in [
        ((None, "mcm"), UsageError, "a method rules with a bank"),
        ((), UsageError, "nothing is named"),
        (("nosuch", "neglabel"), BankError, "no such bank spec"),
        (("base@v7", "neglabel"), BankError, "no bank version base@v7"),
        (("base", "csp"), BankError, "needs a bank mined by csp"),
        (("base", "nglabel"), UsageError, "nglabel"),
        (("base", "knn"), UsageError, "there are none"),
    ]:
        with pytest.raises(fault, match=message):
            scanned.use(*given)
    with pytest.raises(UsageError, match=r"no policy is called 'keep-0\.95'"):
        scanned.use("base", "mcm", policy="keep-0.95")
    monkeypatch.setenv("CURATOR_SCAN_METHOD", "energy")
    with pytest.raises(ConfigError, match=r"CURATOR_SCAN_METHOD is 'energy' and goes before curator.toml"):
        scanned.use("base", "mcm")
    monkeypatch.delenv("CURATOR_SCAN_METHOD")
    scanned.layout.config.chmod(0o444)
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != scanned.layout.config)  # as for who is not root
    shown = run_cli("use", "base", "mcm", folder=scanned.layout.root, code=2).stderr
    assert 'it is read-only (write there, under [scan]: bank = "base", method = "mcm")' in shown
    assert scanned.layout.config.read_bytes() == config
    assert scanned.sql("select * from main.selection").equals(before)


def test_the_configuration_keeps_every_other_byte_its_mode_and_its_link(scanned, tmp_path):
    config = scanned.layout.config
    text = config.read_text()
    config.chmod(0o640)
    moved = config.rename(tmp_path / "elsewhere.toml")
    config.symlink_to(moved)
    scanned.use("other", "mcm:temperature=0.5")
    assert config.is_symlink() and stat.S_IMODE(moved.stat().st_mode) == 0o640
    lines = zip(text.splitlines(), config.read_text().splitlines(), strict=True)
    changed = [new for old, new in lines if old != new]
    assert [line.partition("  #")[0] for line in changed] == ['bank = "other"', 'method = "mcm:temperature=0.5"']
    assert all("  #" in line for line in changed)
    found = Config.resolve(config, environment={}).scan
    assert (found.bank, found.method) == ("other", "mcm:temperature=0.5")
    scanned.use("base", "neglabel")
    assert config.read_text() == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '\n[scan]\nbank = "b"\nmethod = "m"\n'),
        ('[encoder]\naddress = "fake"', '[encoder]\naddress = "fake"\n\n[scan]\nbank = "b"\nmethod = "m"\n'),
        ("[ scan ] # nights\r\nbank = 'a' # mine\r\n[ray]\r\n", None),
        ('[scan]\nmethod = "m"\n\n[other]\nbank = "x"\n', '[scan]\nbank = "b"\nmethod = "m"\n\n[other]\nbank = "x"\n'),
        ('[scan]\n# bank = "c"\nbank="a"\n', '[scan]\nmethod = "m"\n# bank = "c"\nbank = "b"\n'),
    ],
)
def test_options_are_written_where_they_belong(before, after):
    wanted = after or '[ scan ] # nights\r\nmethod = "m"\nbank = "b" # mine\r\n[ray]\r\n'
    assert with_options(before, "scan", {"bank": "b", "method": "m"}) == wanted


@pytest.mark.parametrize(
    "text", ['scan = { bank = "a" }', 'scan.bank = "a"', '[x]\ny = """\n[scan]\n"""\n[scan]\nbank = "a"\n']
)
def test_a_configuration_in_another_form_is_left_alone(text):
    with pytest.raises(ValueError, match=r"do not stand one a line|twice|overwrite|mutable"):
        with_options(text, "scan", {"bank": "b", "method": "m"})


def test_whoever_shows_flags_says_what_rules(scanned, reference, tmp_path, run_cli):
    root = scanned.layout.root
    scanned.calibrate(reference, keep=0.5)
    now = scanned.in_force()
    assert now is not None and str(now).endswith("), policy keep-0.5") and str(now).startswith("bank base@v1, method ")
    wanted = now.as_json()
    for command in (
        ("explain", "blue-02.png", "--json"),
        ("report", "--json"),
        ("export", "flagged", "--to", tmp_path / "out", "--format", "parquet", "--json"),
        ("review", "export", "--to", tmp_path / "review.csv", "--json"),
        ("score", "--method", "mcm", "--json"),
        ("calibrate", "--keep", "0.5", "--bank", "base", "--method", "mcm", "--json"),
        ("sql", "select 1 as one", "--json"),
        ("query", "flagged", "--json"),
        ("index", "search", "red", "--json"),
    ):
        found = json.loads(run_cli(*command, folder=root).stdout)
        for value in found if isinstance(found, list) else [found]:
            assert value["ruled_by"] == wanted, command
    assert json.loads(run_cli("use", "--json", folder=root).stdout) == wanted
    assert run_cli("use", folder=root).stdout == f"ruled by {now.said}\n"
    head = json.loads((tmp_path / "out" / ".curator-export" / "export.json").read_text())
    assert head["outcome"]["ruled_by"] == wanted
    assert f",{now}," in (tmp_path / "review.csv").read_text() or f',"{now}",' in (tmp_path / "review.csv").read_text()
    page = scanned.report().as_html()
    assert f"Ruled by {now.said}." in page
    assert "yes: the lake is judged so" in scanned.explain("blue-02.png").as_html()
    assert "yes: the lake is judged so" in run_cli("explain", "blue-02.png", folder=root).stdout
    assert f"no: ruled by {now.said}" in scanned.explain("blue-02.png", method="mcm").as_html()


@pytest.mark.parametrize("command", [("sql", "select 1 as one"), ("query", "flagged"), ("index", "search", "red")])
def test_on_a_terminal_queries_say_what_rules_and_never_on_stdout(scanned, command, run_cli, monkeypatch):
    root = scanned.layout.root
    plain = run_cli(*command, folder=root)
    assert "ruled by" not in plain.output
    monkeypatch.setattr("curator.cli.app.on_terminal", lambda: True)
    shown = run_cli(*command, folder=root)
    assert f"ruled by {scanned.in_force().said}" in shown.stderr.splitlines()
    assert shown.stdout == plain.stdout
    assert "ruled by" not in run_cli("-q", *command, folder=root).output


def test_a_lost_configuration_comes_back_with_what_rules(scanned, first_night):
    used = scanned.use("other", "max_logit")
    scanned.layout.config.unlink()
    recover_workspace(scanned.layout.root)
    night = Workspace.open(scanned.layout.root).scan(first_night[1])
    assert night.ruled_by == used.ruled_by and night.ruled_before is None


def test_a_bank_alone_is_scored_and_rules_by_the_method_that_suits_it(scanned):
    before = scanned.in_force().method_id
    scanned.learn_bank("tanl", "tanl", force=True)
    (scoring,) = scanned.score(bank="tanl").scorings
    used = scanned.use("tanl")
    assert used.method == "tanl" and used.ruled_by.method_id == scoring.method_id
    assert scanned.use("base").ruled_by.method_id == before


@pytest.mark.parametrize(
    ("spec", "encoder", "configured", "method"),
    [
        ({}, "mini", "mcm", "mcm"),
        ({}, "mini", "ants", "neglabel:temperature=0.5"),
        ({}, "fake", "eoe:beta=0.5", "neglabel"),
        ({"synood": {}}, "mini", "neglabel:temperature=0.5", "synood:temperature=0.5"),
        ({"ants": {}}, "mini", "neglabel:temperature=0.5", "ants"),
        ({"ants": {}}, "mini", "ants:temperature=2", "ants:temperature=2"),
    ],
)
def test_the_method_that_suits_a_bank_is_its_systems_or_else_the_encoders(spec, encoder, configured, method):
    config = Config()
    config = replace(
        config, encoder=replace(config.encoder, address=encoder), scan=replace(config.scan, method=configured)
    )
    assert suited_method(spec, 10, config) == method
