"""What every operation on a workspace needs: its paths, options, encoder (loaded once, on demand) and banks."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from curator.banks import PUBLISHED_SPECS, TextCache, build_bank, load_bank, read_spec, save_bank
from curator.banks.build import changed_labels
from curator.banks.naming import NameVocabulary
from curator.banks.spec import BankSpec
from curator.config import Config
from curator.decode import DecodeOptions
from curator.durable import write_durably
from curator.encoders import SHIPPED, EncoderOptions, load_encoder
from curator.errors import BankError, EncoderError
from curator.evaluation.classes import class_list
from curator.evaluation.labels import LabelMap, read_label_map
from curator.lake import ColumnNames, ReadOptions
from curator.methods import MethodSpec, resolve_method
from curator.progress import step
from curator.store import Database, Ledger
from curator.systems.spec import read_system_spec
from curator.types import Bank, Encoder
from curator.workspace.judge.naming import Namer
from curator.workspace.judge.reference import load_reference
from curator.workspace.judge.scoring import Scorer, bind_reference
from curator.workspace.layout import Layout
from curator.workspace.logs import log
from curator.workspace.looking import Looker
from curator.workspace.stamps import mark_built

Refine: TypeAlias = Callable[[Bank, Sequence[str]], Bank]  # a bank without what goes; texts that stay
NEAREST = "nearest"  # in place of a labels map: whatever images came with, each is of its nearest ID label


@dataclass(slots=True)
class Context:
    """A workspace's paths and options, and the encoder once it is loaded.

    looker_processes: how many decode single images.
    """

    layout: Layout
    config: Config
    looker_processes: int = 1
    _encoder: Encoder | None = field(default=None, repr=False)
    _looker: Looker | None = field(default=None, repr=False)

    @property
    def encoder(self) -> Encoder:
        """The workspace's encoder; the first use loads its weights."""
        if self._encoder is None:
            started = time.perf_counter()
            with step(f"load encoder {self.config.encoder.address}"):
                self._encoder = load_encoder(self.encoder_options)
            seconds = time.perf_counter() - started
            log.info("encoder %s is ready (%.1f s)", self._encoder.encoder_id, seconds)
        return self._encoder

    @property
    def encoder_options(self) -> EncoderOptions:
        section = self.config.encoder
        return EncoderOptions(
            address=section.address,
            device=section.device,
            dtype=section.dtype,
            batch_size=section.batch_size or None,
            compile=section.compile,
            offline=section.offline,
            root=self.layout.root,
        )

    @property
    def encoder_device(self) -> str:
        """Where the encoder runs: `cpu`, `cuda`, …"""
        return str(getattr(self.encoder, "device", "cpu"))

    def encoder_id(self, database: Database) -> str:
        """The encoder's id, which is mostly known, so that an unchanged lake loads no weights."""
        return self.known_encoder_id(database) or self.encoder.encoder_id

    def known_encoder_id(self, database: Database) -> str | None:
        """That id, where it is known without loading weights: of what ships with this release, else from the ledger."""
        if self._encoder is not None:
            return self._encoder.encoder_id
        address = self.config.encoder.address
        if (shipped := SHIPPED.get(address)) is not None:
            return shipped
        known = database.row("find_encoder", address=address)
        return str(known["encoder_id"]) if known else None

    def stored_encoder_id(self, database: Database) -> str:
        """That of the vectors that everybody sees; it may be of an encoder that was configured or shipped before."""
        ruling = database.row("find_selection")
        return str(ruling["encoder_id"]) if ruling else self.encoder_id(database)

    def encoder_of(self, encoder_id: str) -> Encoder:
        """The encoder, to compare what it makes with stored vectors. Raises EncoderError where they are another's."""
        address = self.config.encoder.address
        current = SHIPPED.get(address) or self.encoder.encoder_id
        if current != encoder_id:
            raise EncoderError(
                f"the images were embedded by {encoder_id}, and encoder {address} is {current} now",
                hint="`curator scan`, with every source of the lake, embeds them again, once",
            )
        return self.encoder

    def require_current(self, database: Database) -> None:
        """Raises EncoderError where the vectors that everybody sees are not of the encoder that is configured now."""
        stored = self.stored_encoder_id(database)
        if self.encoder_id(database) != stored:
            self.encoder_of(stored)

    @property
    def decode_options(self) -> DecodeOptions:
        return DecodeOptions(max_pixels=self.config.decode.max_pixels, scaled=self.config.decode.scaled)

    @property
    def looker(self) -> Looker:
        """Decodes single images in processes of their own."""
        if self._looker is None:
            self._looker = Looker(
                self.decode_options,
                memory_limit_bytes=self.config.decode.memory_limit_bytes,
                processes=self.looker_processes,
            )
        return self._looker

    @property
    def read_options(self) -> ReadOptions:
        return ReadOptions(
            read_threads=self.config.scan.read_threads,
            max_object_bytes=self.config.scan.max_object_bytes,
            columns=tuple(
                ColumnNames(pattern, rule.image or None, rule.label or None)
                for pattern, rule in self.config.columns.items()
            ),
        )

    @property
    def label_map(self) -> LabelMap | None:
        """The names of labels that reference images came with, by `scan.labels_map`: a path from the workspace, or a
        list that ships; None where labels count for nothing. Raises ConfigError for one that is not there."""
        given = self.config.scan.labels_map
        if given in ("", NEAREST):
            return None if given else LabelMap()
        path = self.layout.root / given
        is_file = path.is_file() or path.suffix or "/" in given
        return read_label_map(path) if is_file else class_list(given, where="labels_map").label_map

    def build_bank(
        self, ledger: Ledger, name: str, *, within: tuple[str, ...] = (), refine: Refine | None = None
    ) -> Bank:
        """Build the bank that `banks/<name>.toml` specifies and record it as a version.

        `within`: the banks that are being built and take labels from this one. refine: what filters the bank of a spec
        that asks for it. Raises BankError for such a spec without one: asking a model is for `curator bank build`.
        """
        spec = self._mined_spec(name)
        if spec.mining.refine and refine is None:
            raise BankError(
                f"bank {name} has no version yet, and a reasoner has to be asked for it",
                hint=f"run `curator bank build {name}` first",
            )
        began, started = time.time_ns(), time.perf_counter()
        log.info("building bank %s", name)
        cache = TextCache(self.layout.text_cache)
        bank = build_bank(
            spec,
            self.encoder,
            root=self.layout.root,
            text_cache=cache,
            find_bank=lambda address: self.parent_bank(ledger, address, within=(*within, name)),
        )
        if spec.mining.refine and refine is not None:
            bank = refine(bank, spec.mining.keep_labels)
        # As loaded again: a rebuild gives the stored vectors to the bit, whatever this machine would compute.
        bank = load_bank(save_bank(bank, self.layout.bank_versions(name)))
        ledger.record_encoder(self.encoder, self.config.encoder.address)
        version = ledger.record_bank(bank)
        negatives = len(bank.labels) - bank.id_count
        log.info(
            "bank %s version %d (%s): %d ID labels, %d negative labels, %.1f s",
            name,
            version,
            bank.digest[:12],
            bank.id_count,
            negatives,
            time.perf_counter() - started,
        )
        self.mark_built(name, began, spec.banks)
        return bank

    def mark_built(self, name: str, began: int, parents: Sequence[str]) -> None:
        """Tell make that a bank is made of what there was at `began`, in nanoseconds."""
        encoder = f"{self.config.line('encoder', 'address')}\n"
        mark_built(self.layout.root, name, began=began, parents=parents, encoder=encoder)

    def _mined_spec(self, name: str) -> BankSpec:
        """That of `banks/<name>.toml`; one that is known by name becomes a file first. Raises BankError where there is
        none, and for a bank that a system makes."""
        spec_path = self.layout.bank_spec(name)
        if not spec_path.is_file() and (published := PUBLISHED_SPECS.get(name)) is not None:
            write_durably(spec_path, published.encode())
        if not spec_path.is_file():
            known = ", ".join(PUBLISHED_SPECS)
            raise BankError(
                f"{spec_path}: no such bank spec",
                hint=f"write it, or copy {self.layout.bank_spec('base')}; known by name: {known}",
            )
        if (system := read_system_spec(spec_path)) is not None:
            raise BankError(
                f"bank {name} has no version yet, and {system.system} makes it from images",
                hint=f"run `curator bank build {name}` first",
            )
        return read_spec(spec_path)

    def whole_corpus(self, database: Database, bank: Bank) -> Bank:
        """All candidates that a mined bank chose its negatives from, in place of those; never stored.

        From the spec as it is in the workspace now. What the bank was built of is in the text cache.
        """
        spec = read_spec(self.layout.bank_spec(bank.name))
        return build_bank(
            replace(spec, mining=replace(spec.mining, fraction=1.0, limit=None, refine=False)),
            self.encoder,
            root=self.layout.root,
            text_cache=TextCache(self.layout.text_cache),
            find_bank=lambda address: self.known_bank(database, address),
        )

    def known_bank(self, database: Database, address: str) -> Bank:
        """A bank version that is there. Raises BankError."""
        bank = self.find_bank(database, address, encoder_id=None)
        if bank is None:
            raise BankError(f"no bank version {address}", hint="see `curator bank list`")
        return bank

    def find_bank(self, database: Database, address: str, *, encoder_id: str | None) -> Bank | None:
        """The newest version of a bank `name`, or the version `name@<digest>`; None when there is none."""
        name, _, digest = address.partition("@")
        row = database.row("find_bank", name=name, digest_prefix=digest, encoder_id=encoder_id)
        return load_bank(self.layout.bank_versions(row["name"]) / row["bank_digest"]) if row else None

    def bank_for(self, ledger: Ledger, address: str, *, encoder_id: str) -> Bank:
        """The bank to score with; a bank that has no version for the encoder yet is built now."""
        bank = self.find_bank(ledger.database, address, encoder_id=encoder_id)
        if bank is None and "@" in address:
            raise BankError(f"no bank version {address} for encoder {encoder_id}", hint="see `curator bank list`")
        return bank or self.build_bank(ledger, address)

    def behind(self, address: str, bank: Bank) -> tuple[str, str] | None:
        """What to know of a bank that goes by its name, and what to do: it was built of other ID labels than are
        written down now."""
        if "@" in address or (changed := changed_labels(bank, self.layout.root)) is None:
            return None
        return (
            f"{changed} has changed since bank {bank.name} was built",
            f"`curator bank build {bank.name}` takes it up",
        )

    def parent_bank(self, ledger: Ledger, address: str, *, within: tuple[str, ...]) -> Bank:
        """The bank that banks being built take labels from; it is built now if it has no version for the encoder.

        A version that is named by its digest may be of another encoder. Raises BankError when it is not there, and
        when banks take labels from each other.
        """
        pinned = "@" in address
        encoder_id = None if pinned else self.encoder.encoder_id
        bank = self.find_bank(ledger.database, address, encoder_id=encoder_id)
        if bank is not None:
            return bank
        if pinned:
            raise BankError(f"no bank version {address}, which bank {within[-1]} names", hint="see `curator bank list`")
        if address in within:
            circle = " → ".join((*within[within.index(address) :], address))
            raise BankError(f"banks take labels from each other: {circle}", hint="name a version: name@<digest>")
        return self.build_bank(ledger, address, within=within)

    def namer(self, bank: Bank) -> Namer:
        """What calls images by common nouns and the ID labels of the bank. Costs nothing before it names one."""
        return Namer(bank, self._vocabulary)

    def _vocabulary(self, bank: Bank) -> NameVocabulary | None:
        """None for a bank of other weights than those that are here: its nouns cannot be encoded."""
        if self.encoder.encoder_id != bank.encoder_id:
            return None
        return NameVocabulary.of(bank, self.encoder, TextCache(self.layout.text_cache))

    def method_spec(self, asked: str | None) -> MethodSpec:
        """A method as it was asked for (None: the configured one), on cosines of the precision that is configured."""
        spec = MethodSpec.parse(asked or self.config.scan.method)
        full = {"precision": "full"} if self.config.scan.precision == "full" else {}
        return MethodSpec(spec.name, {**spec.parameters, **full})

    def scorer(
        self,
        bank: Bank,
        *methods: str | MethodSpec | None,
        database: Database,
        reference_ids: Collection[str] | None = None,
    ) -> Scorer:
        """The bank with methods (None: the configured one), and the reference images where a method needs them.

        A method that comes as a spec is taken as it stands, one that comes as text as it is configured.
        `reference_ids`: take only these of the reference images.
        """
        specs = [item if isinstance(item, MethodSpec) else self.method_spec(item) for item in methods or (None,)]
        resolved = tuple(resolve_method(spec, bank) for spec in specs)
        reference = None
        if any(method.needs.of_reference for method in resolved):
            folder = self.layout.vectors(bank.encoder_id)
            names = self.label_map if any(item.needs.by_class for item in resolved) else None
            reference = load_reference(database, folder, bank.encoder_id, among=reference_ids, label_map=names)
            resolved = bind_reference(resolved, reference, bank)
        return Scorer(bank, resolved, reference, self.config.encoder.device)
