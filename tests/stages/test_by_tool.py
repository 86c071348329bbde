"""Other programs' models through their own command lines. The programs are stand-ins: see ``fake_tools``."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from tests.conftest import Slab

from liverimg.core.errors import ExitCode, LiverimgError
from liverimg.core.grid import Grid
from liverimg.core.labels import LabelMap, LabelQuality, Structure
from liverimg.core.study import Modality, Phase, Series
from liverimg.core.volume import Quantity, Volume
from liverimg.files.tables import read_table
from liverimg.pipeline.recipe import load_recipe
from liverimg.segmentation.tools import names_a_tool
from liverimg.stages.artefacts import read_reference
from liverimg.stages.by_tool import draw_with_tool, tool_hash
from liverimg.workspace import Workspace

from .fake_tools import Tools, is_running


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    (tmp_path / "tools").mkdir()
    return Tools(tmp_path / "tools", monkeypatch)


@pytest.fixture
def volume(awkward_grid: Grid) -> Volume:
    """Blocks whose value says what they are to the stand-ins."""
    array = np.full(awkward_grid.shape, -50, np.int16)
    array[4:20, 5:30, 6:30] = 100
    array[6:9, 8:12, 9:14] = 50
    array[14:17, 20:25, 20:24] = 50
    array[10:12, 5:28, 15:18] = 200
    array[:, 35:38, 20:24] = 300
    return Volume(array, awkward_grid, Quantity.HU)


@pytest.fixture
def series(volume: Volume) -> Series:
    return Series("1.2.3", Modality.CT, Phase.PORTAL_VENOUS, (), volume.grid)


@pytest.fixture
def draw(volume: Volume, series: Series, tmp_path: Path) -> Callable[..., tuple[LabelMap, LabelQuality]]:
    """Runs a tool on the blocks."""

    def run(model: str, **change: Any) -> tuple[LabelMap, LabelQuality]:
        minutes = change.pop("timeout_minutes", 2)
        table = {**read_table("segmentation")}
        table["external_model"] = {**table["external_model"], "run": {"timeout_minutes": minutes}}
        return draw_with_tool(
            Workspace(tmp_path / "none"),
            replace(series, **change),
            volume,
            model=Path(model),
            device="cpu",
            table=table,
        )

    return run


def refuses(code: ExitCode, *words: str):
    """One sentence with these words and this exit code."""

    class Refusal:
        def __enter__(self) -> None:
            return None

        def __exit__(self, kind: object, error: object, trace: object) -> bool:
            assert isinstance(error, LiverimgError), error
            assert error.exit_code is code
            for word in words:
                assert word in str(error), str(error)
            assert "\n" not in str(error)
            return True

    return Refusal()


REFUSED, USAGE = ExitCode.INPUT_REFUSED, ExitCode.USAGE


# ---- TotalSegmentator ----


def test_totalsegmentator_gets_the_image_and_its_labels_come_back(draw, tools: Tools, volume: Volume) -> None:
    tools.totalsegmentator()
    labels, quality = draw("totalsegmentator:total+liver_lesions")
    for value, structure in ((100, "liver"), (200, "portal_vein"), (300, "aorta"), (50, "tumour")):
        assert np.array_equal(labels.mask(Structure(structure)), volume.array == value), structure
    assert labels.lesions == {}, "a model's lesions are not told apart by a reader"
    first, second = tools.arguments()
    options = dict(zip(first[::2], first[1::2], strict=False))
    assert first[:1] == ["-i"]
    assert Path(options["-i"]).name == "image.nii.gz"
    assert first[4:] == ["--ml", "--task", "total", "--device", "cpu"]
    assert second[second.index("--task") + 1] == "liver_lesions"
    assert not Path(options["-i"]).exists(), "the folder is gone"
    assert quality.model == "TotalSegmentator 2.18.0 (total, liver_lesions)"


def test_what_totalsegmentator_drew_is_said_to_be_of_unknown_error(draw, tools: Tools) -> None:
    tools.totalsegmentator()
    _, quality = draw("totalsegmentator")
    assumed = read_table("segmentation")["external_model"]["surface_error_mm"]
    assert quality.origin == "external_model"
    assert quality.surface_error_assumed
    assert quality.surface_error_mm[Structure.LIVER] == assumed["liver"]
    assert quality.surface_error_mm[Structure.AORTA] == assumed["other"]
    assert Structure.GALLBLADDER not in quality.surface_error_mm
    assert "did not find it" in quality.not_visible[Structure.GALLBLADDER]
    assert "trunk" in quality.incomplete[Structure.PORTAL_VEIN]
    said = " ".join(quality.notes)
    assert "unknown" in said
    assert "non-commercial" in said


def test_vessels_that_are_not_told_apart_are_left_out_aloud(draw, tools: Tools, volume: Volume) -> None:
    tools.totalsegmentator()
    labels, quality = draw("totalsegmentator:total+liver_vessels")
    assert np.array_equal(labels.mask(Structure.TUMOUR), volume.array == 50)
    assert not labels.knows(Structure.HEPATIC_VEIN)
    assert any(note.startswith("liver_vessels:") for note in quality.notes)


def test_without_totalsegmentator_or_its_weights(draw, tools: Tools) -> None:
    with refuses(USAGE, "not installed", "pip install TotalSegmentator"):
        draw("totalsegmentator")
    tools.totalsegmentator(weights=False)
    with refuses(USAGE, "no weights", "totalseg_download_weights"):
        draw("totalsegmentator")


def test_a_task_for_another_modality_or_none_at_all(draw, tools: Tools) -> None:
    tools.totalsegmentator()
    with refuses(REFUSED, "total_mr", "for MR"):
        draw("totalsegmentator:total_mr")
    with refuses(REFUSED, "MR", "for CT"):
        draw("totalsegmentator:total", modality=Modality.MR)
    with refuses(USAGE, "no task"):
        draw("totalsegmentator:total; rm -rf")


LICENCE = 'print("It requires a license. For non-commercial usage a free license can be acquired."); sys.exit(1)'


@pytest.mark.parametrize(
    ("spoilt", "words"),
    [
        ({"extra": LICENCE}, ("exit code 1", "requires a license")),
        ({"extra": 'raise ConnectionError("could not download the weights")'}, ("exit code 1", "download the weights")),
        ({"extra": "os.kill(os.getpid(), 9)"}, ("SIGKILL", "memory")),
        ({"save": "pass"}, ("without writing total.nii.gz",)),
        ({"save": 'open(args.output, "wb").write(b"no image")'}, ("can't be read",)),
        ({"save": "nib.save(nib.Nifti1Image(drawn, affine), args.output)"}, ("does not name its labels",)),
        ({"spoil": "affine = np.diag([2, 2, 2, 1.0]) @ affine"}, ("another grid",)),
        ({"spoil": "drawn = drawn[:-1]"}, ("another grid",)),
        ({"spoil": "drawn = drawn * 0.5"}, ("fractions",)),
        ({"spoil": "drawn[:] = 0"}, ("empty",)),
        ({"spoil": 'xml = xml.replace("[liver]", "[brand_new]")'}, ("'brand_new'", "nobody here knows")),
        ({"spoil": 'xml = xml.replace("</Label>", "", 1)'}, ("list of names", "damaged")),
        ({"spoil": 'xml = "<!DOCTYPE a [<!ENTITY b \\"c\\">]>" + xml'}, ("list of names", "damaged")),
    ],
    ids=[
        "licence", "no network", "killed", "no file", "no image", "no names", "elsewhere", "cut off", "fractions",
        "nothing drawn", "unknown name", "broken list", "entities",
    ],
)  # fmt: skip
def test_what_totalsegmentator_can_do_wrong(spoilt: dict[str, str], words: tuple[str, ...], draw, tools: Tools) -> None:
    tools.totalsegmentator(**spoilt)
    with refuses(REFUSED, *words):
        draw("totalsegmentator")


def test_a_program_that_hangs_is_ended_with_all_it_started(draw, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = tools.folder / "pids.txt"
    wait = subprocess.Popen.wait

    def wait_less(self: subprocess.Popen, timeout: float | None = None) -> int:
        """Cuts the half minute short once the program is seen to hang, however long it takes to start."""
        if timeout != 30.0:
            return wait(self, timeout)
        while not (pids.exists() and len(pids.read_text().split()) == 2):
            time.sleep(0.02)
        return wait(self, 0.1)

    monkeypatch.setattr(subprocess.Popen, "wait", wait_less)
    tools.totalsegmentator(
        extra=(
            "import subprocess, time\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
            "time.sleep(600)"
        )
    )
    with refuses(REFUSED, "stopped after", "timeout_minutes"):
        draw("totalsegmentator", timeout_minutes=0.5)
    started = [int(pid) for pid in pids.read_text().split()]
    patience = time.monotonic() + 300
    while any(map(is_running, started)) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not any(map(is_running, started))


# ---- nnU-Net ----


@pytest.mark.parametrize(
    "target", ["Dataset003_Liver", "3", "003", "path", "Dataset003_Liver/nnUNetTrainer__nnUNetPlans__3d_fullres"]
)
def test_nnunet_finds_its_model(target: str, draw, tools: Tools, volume: Volume) -> None:
    tools.nnunet()
    folder = tools.model()
    labels, quality = draw(f"nnunet:{folder if target == 'path' else target}")
    assert np.array_equal(labels.mask(Structure.LIVER), volume.array == 100)
    assert np.array_equal(labels.mask(Structure.TUMOUR), volume.array == 50)
    (said,) = tools.arguments()
    assert said[4:] == [
        *("-f", "0", "1", "-device", "cpu"),
        *("-d", "Dataset003_Liver", "-c", "3d_fullres", "-tr", "nnUNetTrainer", "-p", "nnUNetPlans"),
    ]
    assert quality.model == "nnU-Net 2.8.1 Dataset003_Liver/nnUNetTrainer__nnUNetPlans__3d_fullres (fold 0, 1)"
    assert "whoever trained them" in " ".join(quality.notes)


def test_a_model_outside_of_the_usual_folders(draw, tools: Tools, tmp_path: Path) -> None:
    tools.nnunet()
    folder = tools.model(folds=("all",)).rename(tmp_path / "mine")
    labels, _ = draw(f"nnunet:{folder}")
    assert labels.has(Structure.TUMOUR)
    (said,) = tools.arguments()
    assert said[4:] == ["-f", "all", "-device", "cpu", "-m", str(folder)]


def test_regions_come_out_as_their_class_order_says(draw, tools: Tools, volume: Volume) -> None:
    tools.nnunet()
    tools.model(labels={"background": 0, "liver": [1, 2], "tumor": [2]}, regions_class_order=[1, 2])
    labels, _ = draw("nnunet:3")
    assert np.array_equal(labels.mask(Structure.LIVER), volume.array == 100)
    assert np.array_equal(labels.mask(Structure.TUMOUR), volume.array == 50)


def test_without_nnunet_or_its_model(draw, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    with refuses(USAGE, "0 models 'Dataset003_Liver'"):
        draw("nnunet:Dataset003_Liver")
    tools.model()
    with refuses(USAGE, "not installed", "pip install nnunetv2"):
        draw("nnunet:Dataset003_Liver")
    monkeypatch.delenv("nnUNet_results")
    with refuses(USAGE, "nnUNet_results"):
        draw("nnunet:Dataset003_Liver")


def test_several_configurations_have_to_be_told_apart(draw, tools: Tools) -> None:
    tools.nnunet()
    tools.model()
    tools.model(configuration="nnUNetTrainer__nnUNetPlans__2d")
    with refuses(USAGE, "2 trained configurations", "__2d"):
        draw("nnunet:3")


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ({"folds": ()}, ("no trained fold",)),
        ({"configuration": "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"}, ("cascade",)),
        ({"file_ending": ".png"}, (".png",)),
        ({"channel_names": None}, ("names no channels",)),
        ({"channel_names": {"0": "T1"}}, ("was trained on MR",)),
        ({"channel_names": {"0": "CT", "1": "CT again"}}, ("contrast phase",)),
        ({"labels": {"background": 0, "liver": [1, 2], "tumor": [2]}}, ("labels", "regions_class_order")),
        ({"labels": {"background": 0, "class_1": 1}}, ("'class_1'", "nobody here knows")),
    ],
)
def test_nnunet_models_that_cannot_be_used(dataset: dict[str, Any], words: tuple[str, ...], draw, tools: Tools) -> None:
    tools.nnunet()
    tools.model(**dataset)
    with refuses(REFUSED, *words):
        draw("nnunet:3")


def test_a_damaged_model_folder(draw, tools: Tools) -> None:
    tools.nnunet()
    (tools.model() / "dataset.json").write_text("{")
    with refuses(REFUSED, "dataset.json"):
        draw("nnunet:3")


def test_each_channel_gets_its_phase_on_the_reference_grid(
    assessed: Path, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.nnunet(extra="drawn[100:200, 100:200, 20:40] = 1")
    tools.model(channel_names={"0": "portal venous", "1": "arterial"})
    monkeypatch.setenv("KEEP", str(tmp_path))
    workspace = Workspace(assessed)
    series, volume = read_reference(workspace)
    how = {"model": Path("nnunet:3"), "device": "cpu", "table": read_table("segmentation")}
    _, quality = draw_with_tool(workspace, series, volume, **how)
    assert any("without registration" in note for note in quality.notes)
    sent = [np.asarray(nibabel.load(tmp_path / f"{n}.nii.gz").dataobj).T for n in (0, 1)]
    assert np.array_equal(sent[0], volume.array)
    arterial = nibabel.load(next((assessed / "volumes").glob("*_ct_arterial.nii.gz")))
    at_kji = np.array([40, 180, 150])
    ras = np.append(volume.grid.index_to_lps_mm(at_kji) * (-1, -1, 1), 1)
    i, j, k = (np.linalg.inv(arterial.affine) @ ras)[:3]
    column = np.asarray(arterial.dataobj)[round(i), round(j), [int(k), int(k) + 1]]
    expected = column[0] + (k - int(k)) * (column[1] - column[0])
    assert sent[1][tuple(at_kji)] == pytest.approx(expected, abs=0.5)
    tools.model("Dataset004_Other", channel_names={"0": "portal venous", "1": "hepatobiliary"})
    with refuses(REFUSED, "hepatobiliary phase"):
        draw_with_tool(workspace, series, volume, **(how | {"model": Path("nnunet:4")}))


def test_other_weights_ask_for_a_new_run(tools: Tools) -> None:
    tools.nnunet()
    folder = tools.model()
    before = tool_hash(Path("nnunet:3"))
    assert tool_hash(Path("nnunet:3")) == before
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(b"other weights")
    assert tool_hash(Path("nnunet:3")) != before


@pytest.mark.parametrize("name", ["totalsegmentator", "totalsegmentator:total", "nnunet:3", "nnunet:/a/b", "my/bundle"])
def test_a_recipe_names_programs_and_folders_as_they_are(name: str) -> None:
    recipe = load_recipe("pre_ablation", only=["segment"]).with_settings("segment", model=name)
    settings = recipe.steps[0].resolved()
    assert settings.model_for(Modality.CT) == Path(name)
    assert "model" not in recipe.to_record()["settings"]["segment"], "a path may carry a name"
    assert names_a_tool(settings.model_for(Modality.CT)) is (name != "my/bundle")


def test_a_bare_name_is_one_of_our_own_models() -> None:
    recipe = load_recipe("pre_ablation", only=["segment"]).with_settings("segment", model="liver_ct")
    folder = recipe.steps[0].resolved().model_for(Modality.CT)
    assert (folder / "configs" / "metadata.json").is_file()
    assert not names_a_tool(folder)


# ---- the whole way ----


def test_the_command_with_another_model(liverimg: Callable, tools: Tools, slab: Slab, tmp_path: Path) -> None:
    """Its labels are measured with assumed bands, and results and report say who drew them."""
    tools.totalsegmentator(
        spoil=f"truth = np.asarray(nib.load({str(slab.labels)!r}).dataobj)\n"
        "for ours, theirs in ((1, 5), (4, 64), (8, 52)):\n    drawn[truth == ours] = theirs\n"
        "drawn[truth == 2] = 200\n"
        "xml = xml.replace('<LabelTable>', '<LabelTable><Label Key=\"200\">liver_tumor</Label>')"
    )
    out, study = tmp_path / "out", slab.study
    said = liverimg("pre", study, "--out", out, "--model", "totalsegmentator")
    assert said.code == 0, said.err
    quality = json.loads((out / "label_quality.json").read_text())
    assert quality["origin"] == "external_model"
    assert quality["surface_error_assumed"]
    measured = json.loads((out / "measurements.json").read_text())
    assert measured["labels"]["origin"] == "external_model"
    assert measured["labels"]["model"].startswith("TotalSegmentator 2.18.0")
    assert any("assumed" in warning for warning in measured["warnings"])
    diameter = next(q for q in measured["lesions"][0]["quantities"] if q["name"] == "axial_long_diameter")
    assert diameter["high"] - diameter["value"] > 6, "the assumed error at both ends"
    assert "model of another program" in (out / "report.html").read_text(encoding="utf-8")
    both = liverimg("pre", study, "--out", out, "--model", "totalsegmentator", "--labels", slab.labels)
    assert both.code == 2
