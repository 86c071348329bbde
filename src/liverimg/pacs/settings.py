"""How long to wait, how often to try, how much to take: ``data/pacs.toml`` as values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from liverimg.core.rows import filled
from liverimg.files.tables import read_table

MIB = 1 << 20


@dataclass(frozen=True)
class ClientSettings:
    """What the asking side allows.

    Attributes:
        connect_s: Until a connection stands.
        answer_s: Until one answer.
        attempts: How often something safe to repeat is tried.
        first_wait_s: Before the second attempt; doubled after each.
        longest_wait_s: Of these waits.
        most_matches: Answers that one question may have.
        most_instances: Objects of one study.
        most_study_mib: Bytes of one study.
        post_mib: Bytes of one STOW request.
    """

    connect_s: float
    answer_s: float
    attempts: int
    first_wait_s: float
    longest_wait_s: float
    most_matches: int
    most_instances: int
    most_study_mib: int
    post_mib: int


@dataclass(frozen=True)
class ListenerSettings:
    """What the receiving side allows.

    Attributes:
        quiet_s: Nothing arrived of a study for so long: it is complete.
        associations: Open at once.
        associations_per_peer: Open at once with one AE title.
        waiting: Connections without an association yet.
        request_s: From connection to association request.
        idle_s: Longest silence within an association.
        pdu_bytes: Longest P-DATA-TF PDU.
        run_h: Longest run of a recipe.
        starts: Runs of one set of objects that never ended in an orderly way.
        push_wait_s: First wait before a broken run is begun again, or results are sent again.
        longest_push_wait_s: Longest of these waits.
        keep_h: How long received objects are kept after the end.
    """

    quiet_s: float
    associations: int
    associations_per_peer: int
    waiting: int
    request_s: float
    idle_s: float
    pdu_bytes: int
    run_h: float
    starts: int
    push_wait_s: float
    longest_push_wait_s: float
    keep_h: float


@dataclass(frozen=True)
class Quota:
    """What the spool takes.

    Attributes:
        instance_mib: One object.
        study_instances: Objects of one study.
        studies: Studies at once.
        spool_mib: Everything.
        floor_mib: What stays free on the disk.
    """

    instance_mib: float
    study_instances: int
    studies: int
    spool_mib: float
    floor_mib: float


@cache
def client_settings() -> ClientSettings:
    """The asking side's, as shipped."""
    return filled(ClientSettings, read_table("pacs")["client"], "pacs client")


@cache
def listener_settings() -> ListenerSettings:
    """The receiving side's, as shipped."""
    return filled(ListenerSettings, read_table("pacs")["listener"], "pacs listener")


@cache
def shipped_quota() -> Quota:
    """The spool's, as shipped."""
    return filled(Quota, read_table("pacs")["quota"], "pacs quota")
