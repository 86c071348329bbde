"""The same by DICOMweb: QIDO-RS to ask, WADO-RS to fetch, STOW-RS to send (PS3.18)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import requests
import requests.adapters
from dicomweb_client.web import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset

from liverimg.core.errors import PeerError, UsageError
from liverimg.dicom.tags import PARSER_ERRORS
from liverimg.pacs.folder import StudyFolder, gathered, require_complete
from liverimg.pacs.names import printable
from liverimg.pacs.parcel import Fate, Ready, Sent, sent
from liverimg.pacs.peer import Peer, client_context
from liverimg.pacs.query import KEYS, Level, Query, Row, row
from liverimg.pacs.retry import PassingError, tried
from liverimg.pacs.settings import MIB
from liverimg.pacs.wanted import Wanted, wanted_objects

logging.getLogger("dicomweb_client").setLevel(logging.CRITICAL + 1)
logging.getLogger("retrying").setLevel(logging.CRITICAL + 1)
logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)

# Too many requests, and the three that say "later" (RFC 9110 section 15.6, RFC 6585 section 4).
_PASSING: Final = frozenset((429, 502, 503, 504))
# Of an instance, in a STOW answer (PS3.18 table 6.6.1-4): out of resources.
_NO_ROOM: Final = range(0xA700, 0xA800)
_HINTS: Final = {
    400: "; check the URL and the question",
    401: "; it wants an authorization",
    403: "; it does not let us",
    404: "; check the URL and the UID",
}
_AS_STORED: Final = (("application/dicom", "*"),)
_LONGEST_HEADER: Final = 16384

T = TypeVar("T")


class _PlainStars(requests.adapters.HTTPAdapter):
    """Leaves the wildcards ``*`` and ``?`` as they are, which a query may hold (RFC 3986 section 3.4).

    Orthanc takes ``%2A`` for a star to be found and not for a wildcard: no study matches, and nobody is told.
    """

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        path, mark, query = (request.url or "").partition("?")
        request.url = path + mark + query.replace("%2A", "*").replace("%3F", "?")
        return super().send(request, *args, **options)


@contextmanager
def _client(peer: Peer) -> Iterator[DICOMwebClient]:
    settings = peer.settings
    with requests.Session() as session:
        # No proxy, password or certificate list that the environment happens to name: patients go only where told.
        session.trust_env = False
        session.max_redirects = 0
        session.mount("http://", _PlainStars())
        session.mount("https://", _PlainStars())
        if peer.tls is not None:
            client_context(peer.tls)  # for one sentence where the library has a traceback
            session.verify = str(peer.tls.ca) if peer.tls.ca else True
            if peer.tls.certificate:
                pair = (str(peer.tls.certificate), str(peer.tls.key or peer.tls.certificate))
                session.cert = pair
        if peer.authorization is not None:
            session.headers["Authorization"] = _header(peer.authorization)
        client = DICOMwebClient(peer.url, session=session, timeout=(settings.connect_s, settings.answer_s))
        client.set_http_retry_params(retry=False)  # ours knows what may be repeated
        yield client


def _header(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as stream:
            return stream.readline(_LONGEST_HEADER).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read; expected one line, such as: Bearer TOKEN") from error


@contextmanager
def _explained(peer: Peer) -> Iterator[None]:
    """Turns what the libraries raise into a sentence: passing or final."""
    try:
        yield
    except requests.HTTPError as error:
        code = error.response.status_code if error.response is not None else 0
        words = f"{peer.words} answers with HTTP status {code}"
        if code in _PASSING:
            raise PassingError(words) from error
        raise PeerError(words + _HINTS.get(code, "")) from error
    except requests.TooManyRedirects as error:
        raise PeerError(f"{peer.words} sends us elsewhere, where nobody told us to go; give the right URL") from error
    except requests.exceptions.SSLError as error:
        raise PeerError(f"{peer.words}: the TLS certificates do not fit; check ca, certificate and key") from error
    except (requests.RequestException, OSError) as error:
        raise PassingError(f"{peer.words} can't be reached or broke off ({type(error).__name__})") from error
    except PARSER_ERRORS as error:
        raise PeerError(f"{peer.words} answers with something that is no DICOMweb; check the URL") from error


def _asked(peer: Peer, action: Callable[[DICOMwebClient], T]) -> T:
    """What an action that may be repeated returns."""
    found: list[T] = []

    def once() -> bool:
        with _client(peer) as client, _explained(peer):
            found.append(action(client))
        return True

    words = tried(once, peer.settings)
    if words:
        raise PeerError(f"{words} (tried {peer.settings.attempts} times)")
    return found[0]


def echo(peer: Peer) -> None:
    """Whether the service answers a question.

    Raises:
        PeerError: It does not.
    """
    _asked(peer, lambda client: client.search_for_studies(limit=1))


def find(peer: Peer, query: Query) -> list[Row]:
    """QIDO-RS.

    Raises:
        PeerError: The service can't be asked, or refuses.
    """
    most = peer.settings.most_matches
    uids = {"StudyInstanceUID", "SeriesInstanceUID"} if query.level is not Level.STUDY else set[str]()
    filters = {k: v for k, v in query.matching.items() if k not in uids and v}
    options: dict[str, Any] = {"fields": list(KEYS[query.level]), "search_filters": filters, "limit": most}
    study, series = query.matching.get("StudyInstanceUID"), query.matching.get("SeriesInstanceUID")

    def ask(client: DICOMwebClient) -> list[dict[str, Any]]:
        if query.level is Level.STUDY:
            return client.search_for_studies(**options)
        if query.level is Level.SERIES:
            if series:
                options["search_filters"] = {**filters, "SeriesInstanceUID": series}
            return client.search_for_series(study, **options)
        return client.search_for_instances(study, series, **options)

    rows = []
    for answer in _asked(peer, ask)[:most]:
        try:
            rows.append(row(Dataset.from_json(answer), query.level))
        except PARSER_ERRORS as error:
            raise PeerError(f"{peer.words} answers with something that is no DICOM; check the URL") from error
    return rows


def pull(peer: Peer, wanted: Wanted, out: Path) -> int:
    """Fetches a study by WADO-RS, in the transfer syntax in which it is stored; see :func:`liverimg.pacs.pull.pull`."""
    series, listed = wanted_objects(peer, wanted, find)
    with gathered(out, study=wanted.study, listed=listed, settings=peer.settings) as folder:
        for uid in series:
            _asked(peer, lambda client, uid=uid: _take_series(client, wanted.study, uid, folder, peer))  # type: ignore[misc]
        require_complete(folder.received, listed, words=peer.words)
    return len(folder.received)


def _take_series(client: DICOMwebClient, study: str, series: str, folder: StudyFolder, peer: Peer) -> None:
    for dataset in client.iter_series(study, series, media_types=_AS_STORED):
        problem = folder.put(dataset)
        if problem:
            raise PeerError(f"{peer.words} sent what can't be kept: {problem}")


def push(peer: Peer, ready: Sequence[Ready], *, folder: Path) -> list[Sent]:
    """Sends files by STOW-RS; see :func:`liverimg.pacs.push.push`."""
    verdicts: dict[Path, Sent] = {}
    last: dict[Path, Sent] = {}

    def once() -> bool:
        for batch in _batches([file for file in ready if file.path not in verdicts], peer.settings.post_mib * MIB):
            for file, verdict in _post(peer, batch, folder):
                (last if verdict.fate is Fate.NOT_SENT else verdicts)[file.path] = verdict
        return len(verdicts) == len(ready)

    words = tried(once, peer.settings)
    return [
        verdicts.get(file.path) or last.get(file.path) or sent(file, folder, Fate.NOT_SENT, words) for file in ready
    ]


def _batches(files: Sequence[Ready], most_bytes: float) -> Iterator[list[Ready]]:
    """Files of one study that go together."""
    batch: list[Ready] = []
    size = 0
    for file in files:
        own = file.path.stat().st_size
        if batch and (size + own > most_bytes or file.study != batch[0].study):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += own
    if batch:
        yield batch


def _post(peer: Peer, batch: Sequence[Ready], folder: Path) -> Iterator[tuple[Ready, Sent]]:
    """One request; when it is refused as a whole, one for each file tells which."""
    readable, datasets = [], []
    for file in batch:
        try:
            datasets.append(dcmread(file.path))
            readable.append(file)
        except PARSER_ERRORS:
            yield file, sent(file, folder, Fate.REFUSED, "it can't be read")
    if not readable:
        return
    try:
        with _client(peer) as client, _explained(peer):
            answer = client.store_instances(datasets, study_instance_uid=readable[0].study)
    except PeerError as error:
        if len(readable) == 1:
            yield readable[0], sent(readable[0], folder, Fate.REFUSED, str(error))
            return
        for file in readable:
            yield from _post(peer, [file], folder)
        return
    stored, failed = _verdicts(answer)
    for file in readable:
        yield file, _verdict(file, folder, stored, failed)


def _verdicts(answer: Dataset) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Warning or 0 by stored object, reason by failed object (PS3.18 section 10.5.3)."""
    stored = {
        str(item.get("ReferencedSOPInstanceUID", "")): int(item.get("WarningReason") or 0)
        for item in answer.get("ReferencedSOPSequence") or ()
    }
    failed = {
        str(item.get("ReferencedSOPInstanceUID", "")): int(item.get("FailureReason") or 0)
        for item in answer.get("FailedSOPSequence") or ()
    }
    return stored, failed


def _verdict(file: Ready, folder: Path, stored: Mapping[str, int], failed: Mapping[str, int]) -> Sent:
    uid = file.sop_instance
    if uid in failed:
        fate = Fate.NOT_SENT if failed[uid] in _NO_ROOM else Fate.REFUSED
        return sent(file, folder, fate, f"{failed[uid]:04X}H")
    if uid in stored:
        warning = stored[uid]
        fate = Fate.STORED_WITH_WARNING if warning else Fate.STORED
        return sent(file, folder, fate, f"{warning:04X}H" if warning else "")
    # Silence about an object is no success.
    return sent(file, folder, Fate.REFUSED, printable("the answer does not name it"))
