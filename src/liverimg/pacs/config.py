"""The listener's configuration: a TOML file, every word of it checked before anything is opened."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from liverimg.core.errors import UsageError
from liverimg.files.tables import read_toml
from liverimg.pacs.names import require_ae_title
from liverimg.pacs.peer import Peer, Tls, only, path_from, peer_from_table, server_context, tls_from_table
from liverimg.pacs.settings import ListenerSettings, Quota, listener_settings, shipped_quota

Limits = TypeVar("Limits", ListenerSettings, Quota)
_LOOPBACK = "127.0.0.1"
_DICOM_PORT = 11112
_TITLE = "LIVERIMG"
_WORDS = frozenset(
    ("ae_title", "host", "port", "spool", "out", "recipe", "device", "peers", "tls", "settings", "quota", "push")
)


@dataclass(frozen=True)
class ListenConfig:
    """What a listener is told.

    Attributes:
        ae_title: Ours.
        host: Address to listen on.
        port: TCP port.
        spool: Folder for what arrives.
        out: Folder for results, one in it for each study.
        recipe: Name, or a TOML file.
        device: Where models run.
        peers: Addresses by AE title of who may send; no address means any.
        tls: Present where lines must be encrypted.
        settings: Waits and limits.
        quota: What the spool takes.
        push: Where results go.
        warnings: What a reader of the configuration should know.
    """

    ae_title: str
    host: str
    port: int
    spool: Path
    out: Path
    recipe: str
    device: str
    peers: Mapping[str, tuple[str, ...]]
    tls: Tls | None
    settings: ListenerSettings
    quota: Quota
    push: Peer | None
    warnings: tuple[str, ...] = ()


def read_config(path: Path) -> ListenConfig:
    """Reads a configuration; paths in it are relative to its folder.

    Raises:
        UsageError: A word is unknown, missing, or says nothing sensible.
        RecordInvalidError: No TOML.
    """
    table, folder, where = read_toml(path), path.parent, path.name
    only(table, set(_WORDS), where=where)
    tls = tls_from_table(table["tls"], where=where, folder=folder) if "tls" in table else None
    if tls is not None:
        server_context(tls)
    title = require_ae_title(table.get("ae_title", _TITLE), what=f"ae_title in {where}")
    host = _address(table.get("host", _LOOPBACK), f"host in {where}")
    spool, out = _folder(table, "spool", where, folder), _folder(table, "out", where, folder)
    if out.resolve().is_relative_to(spool.resolve()) or spool.resolve().is_relative_to(out.resolve()):
        raise UsageError(f"spool and out in {where} lie in each other; give two folders apart")
    config = ListenConfig(
        ae_title=title,
        host=host,
        port=_whole(table.get("port", _DICOM_PORT), f"port in {where}", 0, 65535),
        spool=spool,
        out=out,
        recipe=_recipe(table.get("recipe"), where, folder),
        device=_one_of(table.get("device", "auto"), ("auto", "cpu", "cuda"), f"device in {where}"),
        peers=_peers(table.get("peers"), where),
        tls=tls,
        settings=_limits(listener_settings(), table.get("settings", {}), f"settings in {where}"),
        quota=_limits(shipped_quota(), table.get("quota", {}), f"quota in {where}"),
        push=_push(table, where, folder, title),
    )
    return replace(config, warnings=_warnings(config))


def _warnings(config: ListenConfig) -> tuple[str, ...]:
    found = []
    if not ipaddress.ip_address(config.host).is_loopback:
        if config.tls is None:
            found.append("others on the network can reach this listener, and what they send is not encrypted: see tls")
        elif config.tls.ca is None:
            found.append("peers need no certificate: tls without ca encrypts, and leaves open who is there")
        open_to_all = sorted(title for title, addresses in config.peers.items() if not addresses)
        if open_to_all and (config.tls is None or config.tls.ca is None):
            found.append(f"anybody may call himself {', '.join(open_to_all)}: give the addresses it comes from")
    return tuple(found)


def _push(table: Mapping[str, Any], where: str, folder: Path, own_title: str) -> Peer | None:
    if "push" not in table:
        return None
    if not isinstance(table["push"], Mapping):
        raise UsageError(f"push in {where} is {table['push']!r}; expected a table [push] with a peer")
    return peer_from_table(table["push"], where=f"[push] of {where}", folder=folder, own_title=own_title)


def _peers(value: Any, where: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping) or not value:
        raise UsageError(
            f"{where} lets nobody in; expected a table [peers] with a line AE_TITLE = [] or AE_TITLE = ['ADDRESS']"
        )
    peers = {}
    for name, addresses in value.items():
        if not isinstance(addresses, list):
            raise UsageError(f"peers.{name} in {where} is {addresses!r}; expected a list of addresses, [] for any")
        title = require_ae_title(name, what=f"a name in [peers] of {where}")
        peers[title] = tuple(_address(a, f"an address of {name} in {where}") for a in addresses)
    return peers


def _address(value: Any, what: str) -> str:
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError:
        raise UsageError(f"{what} is {value!r}; expected an IP address such as {_LOOPBACK}") from None


def _folder(table: Mapping[str, Any], name: str, where: str, folder: Path) -> Path:
    value = table.get(name)
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where} has {name} = {value!r}; expected a folder")
    path = folder / value
    if path.exists() and not path.is_dir():
        raise UsageError(f"{name} in {where} is a file; expected a folder")
    return path


def _recipe(value: Any, where: str, folder: Path) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where} has recipe = {value!r}; expected the name of a recipe, such as pre_ablation")
    return str(path_from(value, what=f"recipe in {where}", folder=folder)) if value.endswith(".toml") else value


def _one_of(value: Any, words: tuple[str, ...], what: str) -> str:
    if value not in words:
        raise UsageError(f"{what} is {value!r}; expected one of: {', '.join(words)}")
    return str(value)


def _whole(value: Any, what: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UsageError(f"{what} is {value!r}; expected a whole number from {least} to {most}")
    return value


def _limits(shipped: Limits, given: Any, where: str) -> Limits:
    """Shipped limits with those of the configuration in their place."""
    if not isinstance(given, Mapping):
        raise UsageError(f"{where} is {given!r}; expected a table")
    kinds = {f.name: type(getattr(shipped, f.name)) for f in fields(shipped)}
    only(given, set(kinds), where=where)
    values: dict[str, Any] = {}
    for name, value in given.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value < float("inf") or (kinds[name] is int and value != int(value)):
            raise UsageError(f"{name} in {where} is {value!r}; expected a number that is not below 0")
        values[name] = kinds[name](value)
    if values.get("pdu_bytes", _SMALLEST_PDU) < _SMALLEST_PDU:
        raise UsageError(f"pdu_bytes in {where} is {values['pdu_bytes']}; expected {_SMALLEST_PDU} or more")
    return replace(shipped, **values)


_SMALLEST_PDU = 4096
