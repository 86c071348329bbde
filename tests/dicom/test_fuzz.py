"""A hundred spoilt studies, always the same ones; ``tools/fuzz_ingest.py`` runs as many as one likes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest

from liverimg.dicom.decode import Decoder
from liverimg.stages import ingest, inspection_pictures


@pytest.fixture(scope="module")
def fuzz(repository: Path) -> Iterator[ModuleType]:
    """The tool, with its folder on the path as when it is run."""
    sys.path.insert(0, str(repository / "tools"))
    try:
        import fuzz_ingest

        yield fuzz_ingest
    finally:
        sys.path.remove(str(repository / "tools"))


def test_a_hundred_spoilt_studies(fuzz: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fuzzer = fuzz.Fuzzer(seed=7, keep=tmp_path)
    fuzzer.run(0, 100)
    assert not fuzzer.faults, capsys.readouterr().out
    assert sum(fuzzer.outcomes.values()) == 100
    # Spoilt enough to be refused, not so much that nothing but the first byte is ever looked at.
    assert fuzzer.outcomes["refused"] > 20
    assert fuzzer.outcomes["read"] + fuzzer.outcomes["in part"] > 10
    assert 0 < fuzzer.most_bytes < 1 << 30


def test_the_same_seed_spoils_the_same_way(fuzz: ModuleType) -> None:
    seeds = fuzz.studies()
    assert len(seeds) >= 12
    again = fuzz.studies()
    for case in range(40):
        assert fuzz.spoilt_study(seeds, 1, case) == fuzz.spoilt_study(again, 1, case)
    spoilt = [fuzz.spoilt_study(seeds, 1, case) for case in range(40)]
    assert sum(tuple(files) != seeds[name] for name, files in spoilt) > 36
    assert fuzz.spoilt_study(seeds, 2, 0) != fuzz.spoilt_study(seeds, 1, 0)


def test_whole_seeds_are_read(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the spoilt ones would prove nothing."""
    with Decoder() as one:
        # One child for all studies, as in the tool.
        for stage in (ingest, inspection_pictures):
            monkeypatch.setattr(stage, "Decoder", lambda: nullcontext(one))
        for name, files in fuzz.studies().items():
            folder = tmp_path / name / "study"
            folder.mkdir(parents=True)
            for number, data in enumerate(files):
                (folder / str(number)).write_bytes(data)
            assert fuzz.ingest(folder, tmp_path / name / "out") == "read", name


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"outcome": "fault", "words": "KeyError: 7"}, "fault"),
        ({"cpu_s": 11.0}, "hang"),
        ({"bytes": 3 << 30}, "memory"),
    ],
)
def test_faults_are_noticed(said: dict[str, object], kind: str, fuzz: ModuleType, tmp_path: Path) -> None:
    fuzzer = fuzz.Fuzzer(seed=1, keep=tmp_path)
    fuzzer._count({"end": 3, "outcome": "read", "words": "", "cpu_s": 0.1, "bytes": 1} | said, 0.1)
    assert fuzzer.faults == [(3, kind)]
    assert list(tmp_path.glob(f"000003_{kind}/*.dcm"))
    calm = fuzz.Fuzzer(seed=1, keep=None)
    calm._count({"end": 3, "outcome": "read", "words": "", "cpu_s": 0.1, "bytes": 1}, 0.1)
    assert calm.faults == []


def test_a_crash_is_noticed_and_the_rest_goes_on(fuzz: ModuleType, tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, os, signal, sys\n"
        "end = {'outcome': 'read', 'words': '', 'cpu_s': 0, 'bytes': 0}\n"
        "for case in range(int(sys.argv[sys.argv.index('--first') + 1]), 4):\n"
        "    print(json.dumps({'case': case}), flush=True)\n"
        "    if case == 2:\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    print(json.dumps(end | {'end': case}), flush=True)\n",
        encoding="utf-8",
    )
    fuzzer = fuzz.Fuzzer(seed=1, keep=None, worker=str(worker))
    fuzzer.run(0, 4)
    assert fuzzer.faults == [(2, "crash")]
    assert fuzzer.outcomes["read"] == 3
