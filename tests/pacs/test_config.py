"""The listener's configuration, and the commands: each mistake is one sentence and an exit code."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.pacs.archive import Shelf, archive
from tests.pacs.conftest import Papers, free_port, instance

from liverimg.core.errors import UsageError
from liverimg.files.tables import read_table
from liverimg.pacs.config import read_config
from liverimg.pacs.peer import Tls, read_peers, server_context

GOOD = 'spool = "spool"\nout = "out"\nrecipe = "pre_ablation"\npeers = { CT = [] }\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "listen.toml"
    path.write_text(text)
    return path


def test_defaults_are_loopback_and_shipped_limits(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, GOOD))
    assert (config.ae_title, config.host, config.port) == ("LIVERIMG", "127.0.0.1", 11112)
    assert config.settings.quiet_s == 60
    assert config.quota.floor_mib == 5120
    assert config.spool == tmp_path / "spool"
    assert not config.warnings


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = GOOD.replace("CT = []", 'CT = ["192.0.2.7"], "MR 2" = ["2001:db8::1"]') + (
        'ae_title = "LIVER"\nhost = "0.0.0.0"\nport = 104\ndevice = "cpu"\n'
        "[settings]\nquiet_s = 90\nassociations = 4\n[quota]\nspool_mib = 1024\n"
        '[push]\nhost = "pacs.example"\nport = 104\nae_title = "PACS"\n'
    )
    config = read_config(written(tmp_path, text))
    assert config.peers == {"CT": ("192.0.2.7",), "MR 2": ("2001:db8::1",)}
    assert (config.settings.quiet_s, config.settings.associations, config.quota.spool_mib) == (90.0, 4, 1024.0)
    assert config.push is not None
    assert (config.push.own_title, config.push.ae_title) == ("LIVER", "PACS")
    assert any("not encrypted" in words for words in config.warnings)


def test_open_doors_are_said_aloud(tmp_path: Path, papers: Papers) -> None:
    text = GOOD + f'host = "0.0.0.0"\n[tls]\ncertificate = "{papers.server}"\nkey = "{papers.server_key}"\n'
    words = " ".join(read_config(written(tmp_path, text)).warnings)
    assert "certificate" in words
    assert "anybody may call himself CT" in words
    config = read_config(written(tmp_path, text + f'ca = "{papers.ca}"\n'))
    assert not config.warnings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "spool"),
        ("spool = [", "not valid TOML"),
        (GOOD + "colour = 1\n", "'colour'"),
        (GOOD + 'ae_title = "SEVENTEEN LETTERS"\n', "AE title"),
        (GOOD + 'host = "localhost"\n', "IP address"),
        (GOOD + "port = 70000\n", "port"),
        (GOOD + "port = true\n", "port"),
        (GOOD + 'device = "abacus"\n', "device"),
        (GOOD.replace("{ CT = [] }", "{}"), "lets nobody in"),
        (GOOD.replace("{ CT = [] }", '{ CT = "10.0.0.1" }'), "list of addresses"),
        (GOOD.replace("{ CT = [] }", '{ CT = ["scanner"] }'), "IP address"),
        (GOOD.replace("{ CT = [] }", '{ "A\\\\B" = [] }'), "AE title"),
        (GOOD.replace('"out"', '"spool/out"'), "apart"),
        (GOOD.replace('recipe = "pre_ablation"', "recipe = 3"), "recipe"),
        (GOOD.replace("pre_ablation", "mine.toml"), "no such file"),
        (GOOD.replace("pre_ablation", "pre_ablatoin"), "pre_ablatoin"),
        (GOOD + "[settings]\nquiet = 3\n", "'quiet'"),
        (GOOD + '[settings]\nquiet_s = "soon"\n', "quiet_s"),
        (GOOD + "[settings]\nquiet_s = -1\n", "quiet_s"),
        (GOOD + "[settings]\nquiet_s = nan\n", "quiet_s"),
        (GOOD + "[settings]\nassociations = 1.5\n", "associations"),
        (GOOD + "[settings]\npdu_bytes = 100\n", "pdu_bytes"),
        (GOOD + "[quota]\nfloor = 1\n", "'floor'"),
        (GOOD + '[push]\nhost = "a"\n', "no peer"),
        (GOOD + '[push]\nhost = "a"\nport = 0\nae_title = "A"\n', "port"),
        (GOOD + '[push]\nurl = "https://u:p@h/"\n', "no password"),
        (GOOD + '[tls]\ncertificate = "nowhere.pem"\n', "no such file"),
        (GOOD + "[tls]\n", "certificate of its own"),
        (GOOD + '[tls]\ncertificate = "listen.toml"\n', "can't be used"),
    ],
)
def test_each_mistake_is_one_sentence(tmp_path: Path, text: str, words: str, liverimg: Callable) -> None:
    said = liverimg("listen", written(tmp_path, text), "--check")
    assert said.code in (2, 3)
    assert words in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert not (tmp_path / "spool").exists()


def test_check_says_what_it_means(tmp_path: Path, liverimg: Callable) -> None:
    said = liverimg("listen", written(tmp_path, GOOD), "--check")
    assert said.code == 0
    assert said.out.startswith("LIVERIMG on 127.0.0.1 port 11112, not encrypted; recipe pre_ablation; may send: CT;")


def test_a_missing_configuration_is_one_sentence(tmp_path: Path, liverimg: Callable) -> None:
    said = liverimg("listen", tmp_path / "none.toml")
    assert said.code == 3
    assert "does not exist" in said.err


def test_a_key_with_a_passphrase_asks_nobody(tmp_path: Path, papers: Papers) -> None:
    locked = tmp_path / "locked.key"
    command = ["openssl", "ec", "-in", papers.server_key, "-aes256", "-passout", "pass:secret", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(UsageError, match="without a passphrase"):
        server_context(Tls(certificate=papers.server, key=locked))


# ---- the commands ----


def test_commands_on_a_named_peer(tmp_path: Path, study: Path, liverimg: Callable) -> None:
    shelf = Shelf([instance(1, 1, n) for n in (1, 2)], store=lambda n: 0xC000 if n == 3 else 0)
    with archive(shelf) as peer:
        peers = tmp_path / "peers.toml"
        peers.write_text(f'[main]\nhost = "127.0.0.1"\nport = {peer.port}\nae_title = "ARCHIVE"\n')
        on = ("--peers", peers, "--attempts", "1")
        assert "answers" in liverimg("pacs", "echo", "main", *on).out
        assert json.loads(liverimg("pacs", "echo", "main", *on, "--json").out) == {"answers": True}
        uid = instance().StudyInstanceUID
        said = liverimg("pacs", "find", "main", *on, "--level", "series", "--study", uid, "--json")
        assert [m["modality"] for m in json.loads(said.out)["matches"]] == ["CT"]
        said = liverimg("pacs", "pull", "main", uid, "--out", tmp_path / "out", *on, "--json")
        assert json.loads(said.out)["objects"] == 2
        said = liverimg("pacs", "push", "main", study, *on, "--json")
        assert said.code == 4
        fates = [s["fate"] for s in json.loads(said.out)["sent"]]
        assert (fates.count("stored"), fates.count("refused")) == (7, 1)
        said = liverimg("pacs", "push", "main", study, *on)
        assert said.code == 0
        assert "8 stored" in said.out


def test_hostile_answers_do_not_steer_the_terminal(liverimg: Callable) -> None:
    evil = instance()
    evil.PatientID = "\x1b[2Jevil[bold]"
    evil.StudyDescription = "a\nb"
    with archive(Shelf([evil])) as peer:
        said = liverimg("pacs", "find", f"ARCHIVE@127.0.0.1:{peer.port}")
    assert said.code == 0
    assert "\x1b" not in said.out
    assert "?[2Jevil[bold]" in said.out
    assert "a?b" in said.out
    assert len(said.out.strip().splitlines()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["echo", "nobody"],
        ["echo", "A@127.0.0.1:1", "--tls-key", "k.pem"],
        ["echo", "http://127.0.0.1:1/x", "--tls"],
        ["echo", "A@127.0.0.1:1", "--aet", "SEVENTEEN-LETTERS"],
        ["find", "A@127.0.0.1:1", "--level", "patient"],
        ["find", "A@127.0.0.1:1", "--level", "series"],
        ["pull", "A@127.0.0.1:1", "not-a-uid", "--out", "out"],
        ["pull", "A@127.0.0.1:1", "1.2.3", "--out", "out", "--move-to", "nowhere"],
        ["pull", "http://127.0.0.1:1/x", "1.2.3", "--out", "out", "--move-to", "127.0.0.1:1"],
        ["push", "A@127.0.0.1:1", "nowhere"],
        ["echo", "A@127.0.0.1:1", "--tls-ca", "nowhere.pem"],
    ],
)
def test_usage_errors_leave_by_2(
    arguments: list[str], tmp_path: Path, liverimg: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = liverimg("pacs", *arguments)
    assert said.code == 2
    assert len(said.err.strip().splitlines()) == 1 or "Usage" in said.err
    assert not list(tmp_path.iterdir())


def test_a_peer_that_is_not_there_leaves_by_4(liverimg: Callable) -> None:
    said = liverimg("pacs", "echo", f"A@127.0.0.1:{free_port()}", "--attempts", "1")
    assert said.code == 4
    assert "can't be reached" in said.err


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n",
        "[a]\nhost = 'h'\n",
        "[a]\nurl = 'nonsense'\n",
        "[a]\nhost = 'h'\nport = 1\nae_title = 'A'\ncolour = 1\n",
        "[a]\nurl = 'https://h'\ntls = 1\n",
        "[a]\nurl = 'http://h'\nauthorization = 'peers.toml'\n",
        "[a]\nurl = 'https://h'\nauthorization = 'nowhere'\n",
        "ae_title = ''\n",
    ],
)
def test_peers_are_checked(tmp_path: Path, text: str) -> None:
    (tmp_path / "peers.toml").write_text(text)
    with pytest.raises(UsageError):
        read_peers(tmp_path / "peers.toml")


def test_every_command_explains_itself(liverimg: Callable) -> None:
    for name in ("echo", "find", "pull", "push"):
        said = liverimg("pacs", name, "--help")
        assert said.code == 0
        assert "Exit codes" in said.out
        assert "--tls-ca" in said.out


def test_every_limit_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "reference" / "listener.md").read_text()
    tables = read_table("pacs")
    for name, row in {**tables["listener"], **tables["quota"]}.items():
        (line,) = (text for text in page.splitlines() if text.startswith("|") and f"`{name}`" in text)
        assert f"{row['value']:g}" in line.replace(",", "").split("|")[2].split() or name.endswith("push_wait_s"), name


def test_the_documented_configuration_is_one(tmp_path: Path, repository: Path, papers: Papers) -> None:
    page = (repository / "docs" / "reference" / "listener.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    for name, path in {"us.pem": papers.server, "us.key": papers.server_key, "hospital-ca.pem": papers.ca}.items():
        (tmp_path / name).write_bytes(path.read_bytes())
    text = text.replace("/var/lib/liverimg/", "")
    config = read_config(written(tmp_path, text))
    assert set(config.peers) == {"CT_SCANNER_1", "PACS"}
    assert config.push is not None
    assert config.tls is not None


def test_the_documented_peers_are_some(tmp_path: Path, repository: Path) -> None:
    page = (repository / "docs" / "how-to" / "connect-to-pacs.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    for name in ("hospital-ca.pem", "us.pem", "us.key", "token.txt"):
        (tmp_path / name).touch()
    (tmp_path / "peers.toml").write_text(text)
    peers = read_peers(tmp_path / "peers.toml")
    assert set(peers) == {"main", "web"}


def test_help_imports_nothing_of_the_network() -> None:
    heavy = ("pynetdicom", "dicomweb_client", "requests", "urllib3", "pydicom", "ssl")
    code = (
        "import sys; sys.argv = ['liverimg', '--help']\n"
        "from liverimg.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', [m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "heavy: []" in done.stdout
    assert "pacs" in done.stdout
    assert "listen" in done.stdout
