"""Another node: where it is, what it is called, how the line to it is encrypted."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from liverimg.core.errors import UsageError
from liverimg.files.tables import read_toml
from liverimg.pacs.names import require_ae_title
from liverimg.pacs.settings import ClientSettings, client_settings

_HIGHEST_PORT: Final = 65535
_DEFAULT_TITLE: Final = "LIVERIMG"


@dataclass(frozen=True)
class Tls:
    """Files of PEM.

    Attributes:
        ca: Who signs the other side's certificate; without it the system's list counts.
        certificate: Ours, with its chain.
        key: Of ours, without a passphrase; None when it lies in the file of the certificate.
        name: What the peer's certificate must say, where that is not its address.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str | None = None


@dataclass(frozen=True)
class Peer:
    """A node to talk to, by DIMSE or, where it has a URL, by DICOMweb.

    Attributes:
        host: Name or address; empty with a URL.
        port: TCP port.
        ae_title: What it is called.
        url: Root of its DICOMweb service.
        own_title: What we are called towards it.
        tls: Present where the line is encrypted.
        authorization: File whose first line is the HTTP header of that name.
        settings: Waits and bounds.
    """

    host: str = ""
    port: int = 0
    ae_title: str = ""
    url: str = ""
    own_title: str = _DEFAULT_TITLE
    tls: Tls | None = None
    authorization: Path | None = None
    settings: ClientSettings = field(default_factory=client_settings)

    @property
    def words(self) -> str:
        """For sentences."""
        return self.url or f"{self.ae_title} at {self.host} port {self.port}"


def parse_peer(text: str) -> Peer:
    """``AE_TITLE@HOST:PORT``, or the URL of a DICOMweb service.

    Raises:
        UsageError: It is neither.
    """
    if text.startswith(("http://", "https://")):
        return Peer(url=_url(text))
    title, at, place = text.rpartition("@")
    host, colon, port = place.rpartition(":")
    if not (at and colon and host):
        raise UsageError(
            f"{text!r} is no peer; expected AE_TITLE@HOST:PORT, http(s)://..., or a name from --peers FILE"
        )
    return Peer(host=host.strip("[]"), port=_port(port), ae_title=require_ae_title(title, what="the peer's AE title"))


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or parts.username or parts.password:
        raise UsageError("the URL of a DICOMweb service has a host and a path, nothing else; no password in it")
    return text.rstrip("/")


def _port(value: object) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or not 0 < int(text[:6]) <= _HIGHEST_PORT:
        raise UsageError(f"port {text[:20]!r}: expected a number from 1 to {_HIGHEST_PORT}")
    return int(text)


def read_peers(path: Path) -> dict[str, Peer]:
    """Named peers from a TOML file: a table for each, and ``ae_title`` for ourselves at its top.

    Raises:
        UsageError: A table is not a peer.
        RecordInvalidError: No TOML.
    """
    table = read_toml(path)
    own = require_ae_title(table.pop("ae_title", _DEFAULT_TITLE), what=f"ae_title in {path.name}")
    peers = {}
    for name, row in table.items():
        if not isinstance(row, Mapping):
            raise UsageError(f"{path.name} has {name!r} beside ae_title; expected a table [{name}] for each peer")
        peers[name] = peer_from_table(row, where=f"[{name}] of {path.name}", folder=path.parent, own_title=own)
    return peers


def peer_from_table(row: Mapping[str, Any], *, where: str, folder: Path, own_title: str) -> Peer:
    """A peer from a table of a configuration; paths are relative to the folder of the file.

    Raises:
        UsageError: It is none.
    """
    row = dict(row)
    tls = tls_from_table(row.pop("tls"), where=where, folder=folder) if "tls" in row else None
    own_title = require_ae_title(row.pop("own_title", own_title), what=f"own_title in {where}")
    if "url" in row:
        only(row, {"url", "authorization"}, where=where)
        given = row.get("authorization")
        if given and str(row["url"]).startswith("http://"):
            raise UsageError(f"{where} gives an authorization over http, where everybody can read it; use https")
        return Peer(
            url=_url(str(row["url"])),
            own_title=own_title,
            tls=tls,
            authorization=path_from(given, what=f"authorization in {where}", folder=folder) if given else None,
        )
    only(row, {"host", "port", "ae_title"}, where=where)
    host = row.get("host")
    if not isinstance(host, str) or not host or "port" not in row:
        raise UsageError(f"{where} is no peer; expected host, port and ae_title, or url")
    title = require_ae_title(row.get("ae_title"), what=f"ae_title in {where}")
    return Peer(host=host, port=_port(row["port"]), ae_title=title, own_title=own_title, tls=tls)


def tls_from_table(row: Any, *, where: str, folder: Path) -> Tls:
    """The table ``tls``.

    Raises:
        UsageError: It holds something else, or a file is not there.
    """
    if not isinstance(row, Mapping):
        raise UsageError(f"tls in {where} is {row!r}; expected a table with ca, certificate and key")
    only(row, {f.name for f in fields(Tls)}, where=f"tls in {where}")
    paths = {
        name: path_from(row[name], what=f"tls {name} in {where}", folder=folder)
        for name in ("ca", "certificate", "key")
        if name in row
    }
    name = row.get("name")
    if name is not None and not isinstance(name, str):
        raise UsageError(f"tls name in {where} is {name!r}; expected a word")
    return Tls(name=name, **paths)


def path_from(value: object, *, what: str, folder: Path) -> Path:
    """A file that is there.

    Raises:
        UsageError: It is not.
    """
    path = folder / str(value)
    if not isinstance(value, str) or not path.is_file():
        raise UsageError(f"{what} is {value!r}, and no such file is there; give the path of a file")
    return path


def only(row: Mapping[str, Any], known: set[str], *, where: str) -> None:
    """Refuses words that we don't know: a misspelt limit is no limit.

    Raises:
        UsageError: There is one.
    """
    unknown = sorted(set(row) - known)
    if unknown:
        raise UsageError(f"{where} has {unknown[0]!r}; expected only: {', '.join(sorted(known))}")


def with_timeout(peer: Peer, *, timeout_s: float | None, attempts: int | None) -> Peer:
    """The peer with other waits than those shipped."""
    settings = peer.settings
    if timeout_s is not None:
        settings = replace(settings, answer_s=timeout_s, connect_s=min(timeout_s, settings.connect_s))
    if attempts is not None:
        settings = replace(settings, attempts=attempts)
    return replace(peer, settings=settings)


def client_context(tls: Tls) -> ssl.SSLContext:
    """For connections that we make: the peer's certificate must be right.

    Raises:
        UsageError: A file is no certificate or no key.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate is not None:
            _load(context, tls)
    except (OSError, ssl.SSLError) as error:
        raise _useless(error) from error
    return context


def server_context(tls: Tls) -> ssl.SSLContext:
    """For connections that others make: with ``ca`` given they must show a certificate of its.

    Raises:
        UsageError: A file is missing, or no certificate or no key.
    """
    if tls.certificate is None:
        raise UsageError("a listener with tls needs a certificate of its own; give certificate and key")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _load(context, tls)
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise _useless(error) from error
    return context


def _load(context: ssl.SSLContext, tls: Tls) -> None:
    assert tls.certificate is not None
    # A key with a passphrase must not ask for it on a terminal that nobody looks at.
    context.load_cert_chain(tls.certificate, tls.key, password="")


def _useless(error: OSError) -> UsageError:
    reason = getattr(error, "reason", None) or error.strerror or "unreadable"
    return UsageError(
        f"the TLS files can't be used ({reason}); expected PEM: ca, certificate, and its key without a passphrase"
    )
