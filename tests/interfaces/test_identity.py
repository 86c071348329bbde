"""Nothing that the program writes, logs or prints says who the patient is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

from tests.dicom.build import STUDY_UID
from tests.dicom.sentinels import survivors
from tests.interfaces.conftest import Secretive, call

from liverimg.pipeline.journal import reduced


def found(secretive: Secretive, text: str) -> list[str]:
    return [
        secret
        for secret in secretive.secrets
        if secret.lower() in text.lower() and (len(secret) > 8 or "jane" in secret)
    ]


def test_no_sentinel_in_logs_reports_and_exports(secretive: Secretive, tmp_path: Path) -> None:
    """0 of 531: every attribute of PS3.15 table E.1-1 that may name somebody, looked for in every byte."""
    assert len(secretive.secrets) >= 500
    with ZipFile(BytesIO((secretive.home / "a.xlsx").read_bytes())) as workbook:
        workbook.extractall(tmp_path / "xlsx")
    assert survivors(secretive.home, secretive.secrets) == []
    assert survivors(tmp_path, secretive.secrets) == []
    said = secretive.said.replace(str(secretive.study), "").replace(str(secretive.labels), "")
    assert found(secretive, said) == []
    everything = [p.read_bytes().lower() for p in secretive.home.rglob("*") if p.is_file()]
    # As a word: pictures are letters too, and among millions of them any four occur.
    assert not any(re.search(rb"(?<![\w+/])jane(?![\w+/=])", content) for content in everything)


def test_the_log_is_json_lines_and_says_what_happened(secretive: Secretive) -> None:
    lines = [json.loads(line) for line in (secretive.home / "hospital.jsonl").read_text().splitlines()]
    assert all({"time", "level", "version", "event"} <= line.keys() for line in lines)
    stages = [line["stage"] for line in lines if line["event"] == "stage_done"]
    assert stages[:5] == ["ingest", "segment", "measure", "assess", "report"]
    assert all(line["duration_s"] >= 0 for line in lines if line["event"].endswith("_done"))
    refused = [(line["code"], line["exit_code"]) for line in lines if line["event"] == "command_refused"]
    assert [code for _, code in refused] == [2, 3, 3]
    assert refused[0][0] == "usage"
    own = [json.loads(line) for line in (secretive.home / "out" / "log.txt").read_text().splitlines()]
    assert own[0]["event"] == "run_started"
    assert own[0]["recipe"] == "pre_ablation"
    assert {line["state"] for line in own if line["event"] == "stage_done"} == {"done", "fresh"}


CRASH = """
import sys
sys.argv = ["liverimg", "inspect", sys.argv[1], "--log", sys.argv[2], *sys.argv[3:]]
from pydicom import dcmread
from liverimg.stages import inspection
def broken(study, **_):
    name = str(dcmread(next(study.iterdir())).PatientName)
    try:
        raise KeyError(name)
    except KeyError as error:
        raise ValueError(f"nobody foresaw {name} in {study}") from error
inspection.inspect_study = broken
from liverimg.cli import main
main()
"""


def test_no_sentinel_in_what_a_crash_says(secretive: Secretive, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    command = [sys.executable, "-c", CRASH, str(secretive.study), str(log), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert json.loads(done.stdout)["error"] == {
        "code": "internal",
        "exit_code": 5,
        "message": "internal error; what was finished is kept. Please report the lines above.",
    }
    assert "ValueError from KeyError" in done.stderr
    assert "liverimg/api.py" in done.stderr
    assert found(secretive, done.stdout + done.stderr + log.read_text()) == []
    last = json.loads(log.read_text().splitlines()[-1])
    assert (last["event"], last["code"], last["exit_code"]) == ("command_failed", "internal", 5)
    assert last["error"] == ["ValueError", "KeyError"]
    assert any(place.startswith("liverimg/") for place in last["where"])


def test_a_refused_run_leaves_its_reason_in_the_log_but_no_path(secretive: Secretive) -> None:
    text = (secretive.home / "hospital.jsonl").read_text()
    assert "results would be read as input" in text
    assert str(secretive.study.parent) not in text
    assert STUDY_UID not in text
    assert STUDY_UID not in (secretive.home / "out" / "log.txt").read_text()


def test_paths_and_uids_are_reduced_and_nothing_else() -> None:
    uid = "1.2.840.113619.2.55.3"
    known = sha256(uid.encode()).hexdigest()[:12]
    said = f"study {uid}: 3/4 done at 2.5 mm/s in /home/doe jane/x.nii, ./a/b and https://host:80/wado\nforged"
    told = reduced(said, hide=["/home/doe jane"])
    assert told == f"study uid:{known}: 3/4 done at 2.5 mm/s in [path][path], [path] and https://host:80/wado?forged"
    assert reduced("version 1.2.3, --out out", hide=["out"]) == "version 1.2.3, --out [path]"


def test_an_error_is_one_object_with_code_and_exit_code(secretive: Secretive, tmp_path: Path) -> None:
    said = call("pre", secretive.study, "--out", tmp_path / "out", "--device", "abacus", "--json")
    assert said.code == 2
    error = json.loads(said.out)["error"]
    assert (error["code"], error["exit_code"]) == ("usage", 2)
    assert error["message"] in said.err
    for wrong in (("pre", "--json"), ("dance", "--json"), ("pre", "x", "--colour", "red", "--json")):
        said = call(*wrong)
        assert said.code == 2
        assert json.loads(said.out)["error"]["code"] == "usage"
