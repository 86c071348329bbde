"""Stand-ins for TotalSegmentator and nnU-Net: their command lines and file layouts, without their networks.

They test our adapters, not those programs. Each draws where the image has a certain value, so what comes back shows
whether the image went out right. The layouts follow the sources of TotalSegmentator 2.18 and nnU-Net 2.8.
"""

import json
import os
import stat
import sys
import textwrap
from pathlib import Path

import pytest

# What the stand-ins draw: value in the image to (number, name) of the real class maps.
TOTAL = {100: (5, "liver"), 200: (64, "portal_vein_and_splenic_vein"), 300: (52, "aorta"), 400: (30, "vertebrae_L2")}
MORE = {1: "spleen", 4: "gallbladder", 15: "esophagus", 92: "rib_left_1"}

_TOTALSEGMENTATOR = """
import argparse, json, os, sys

parser = argparse.ArgumentParser()
parser.add_argument("-i", dest="input", required=False)
parser.add_argument("-o", dest="output", required=False)
parser.add_argument("-ml", "--ml", action="store_true")
parser.add_argument("-ta", "--task", default="total")
parser.add_argument("-d", "--device", default="gpu")
parser.add_argument("--version", action="version", version="2.18.0")
args = parser.parse_args()
if os.environ.get("ARGUMENTS"):
    with open(os.environ["ARGUMENTS"], "a") as stream:
        stream.write(json.dumps(sys.argv[1:]) + "\\n")
{extra}
import nibabel as nib, numpy as np
image = nib.load(args.input)
array = np.asarray(image.dataobj)
tables = {{"total": {total}, "liver_lesions": {{50: (1, "liver_lesions")}},
          "liver_vessels": {{200: (1, "liver_vessels"), 50: (2, "liver_tumor")}}}}
drawn = np.zeros(array.shape, np.uint8)
names = dict({more}) if args.task == "total" else {{}}
for value, (number, name) in tables[args.task].items():
    drawn[np.rint(array) == value] = number
    names[number] = name
rows = "\\n".join(f'<Label Key="{{n}}" Red="1.0" Green="0.0" Blue="0.0" Alpha="1"><![CDATA[{{s}}]]></Label>'
                 for n, s in names.items())
xml = ('<?xml version="1.0" encoding="UTF-8"?> <CaretExtension>  <Date><![CDATA[2013-07-14T05:45:09]]></Date>   '
       '<VolumeInformation Index="0">   <LabelTable>\\n' + rows + '\\n\\n  </LabelTable>  <StudyMetaDataLinkSet>  '
       '</StudyMetaDataLinkSet>  <VolumeType><![CDATA[Label]]></VolumeType>   </VolumeInformation></CaretExtension>'
       '\\n              ')
affine = image.affine
{spoil}
result = nib.Nifti1Image(drawn, affine)
result.header.extensions.append(nib.nifti1.Nifti1Extension(0, xml.encode()))
assert args.ml, "one file only with --ml"
{save}
"""

_NNUNET = """
import argparse, json, os, sys
from pathlib import Path
import nibabel as nib, numpy as np

parser = argparse.ArgumentParser()
for option in ("-i", "-o", "-d", "-p", "-tr", "-c", "-m", "-device"):
    parser.add_argument(option)
parser.add_argument("-f", nargs="+")
args = parser.parse_args()
if os.environ.get("ARGUMENTS"):
    with open(os.environ["ARGUMENTS"], "a") as stream:
        stream.write(json.dumps(sys.argv[1:]) + "\\n")
usual = Path(os.environ["nnUNet_results"]) / str(args.d) / f"{{args.tr}}__{{args.p}}__{{args.c}}"
folder = Path(args.m) if args.m else usual
dataset = json.loads((folder / "dataset.json").read_text())
for fold in args.f:
    assert (folder / f"fold_{{fold}}" / "checkpoint_final.pth").is_file(), fold
ending = dataset["file_ending"]
images = [nib.load(Path(args.i) / f"case_{{n:04d}}{{ending}}") for n in range(len(dataset["channel_names"]))]
assert len(list(Path(args.i).iterdir())) == len(images)
assert all(np.allclose(i.affine, images[0].affine) and i.shape == images[0].shape for i in images)
if os.environ.get("KEEP"):
    for n, image in enumerate(images):
        nib.save(image, Path(os.environ["KEEP"]) / f"{{n}}.nii.gz")
array = np.rint(np.asarray(images[0].dataobj))
drawn = (1 * (array == 100) + 2 * (array == 50)).astype(np.uint8)
{extra}
Path(args.o).mkdir(exist_ok=True)
for name in ("dataset.json", "plans.json"):
    (Path(args.o) / name).write_text((folder / name).read_text())
(Path(args.o) / "predict_from_raw_data_args.json").write_text("{{}}")
nib.save(nib.Nifti1Image(drawn, images[0].affine), Path(args.o) / f"case{{ending}}")
"""


class Tools:
    """A folder of commands that comes first on the PATH, and a place for weights."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch
        self.commands, self.weights, self.results = (folder / n for n in ("bin", "weights", "results"))
        for place in (self.commands, self.weights, self.results):
            place.mkdir()
        self.asked = folder / "arguments.txt"
        monkeypatch.setenv("PATH", str(self.commands))
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", str(self.weights))
        monkeypatch.setenv("nnUNet_results", str(self.results))
        monkeypatch.setenv("ARGUMENTS", str(self.asked))

    def totalsegmentator(
        self, *, extra: str = "", spoil: str = "", save: str = "nib.save(result, args.output)", weights: bool = True
    ) -> None:
        """Installs the stand-in; ``extra`` runs before it reads, ``spoil`` before it writes."""
        text = _TOTALSEGMENTATOR.format(total=TOTAL, more=MORE, extra=extra, spoil=spoil, save=save)
        self._install("TotalSegmentator", text)
        if weights:
            (self.weights / "Dataset291_TotalSegmentator_part1_organs_1559subj").mkdir(exist_ok=True)

    def nnunet(self, *, extra: str = "") -> None:
        """Installs both predict commands, and their version's metadata beside them."""
        for name in ("nnUNetv2_predict", "nnUNetv2_predict_from_modelfolder"):
            self._install(name, _NNUNET.format(extra=extra))
        (self.folder / "lib" / "python3.11" / "site-packages" / "nnunetv2-2.8.1.dist-info").mkdir(parents=True)

    def model(
        self,
        name: str = "Dataset003_Liver",
        configuration: str = "nnUNetTrainer__nnUNetPlans__3d_fullres",
        *,
        folds: tuple[str, ...] = ("0", "1"),
        **dataset: object,
    ) -> Path:
        """A trained model's folder."""
        folder = self.results / name / configuration
        folder.mkdir(parents=True)
        given = {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, "liver": 1, "tumor": 2},
            "numTraining": 131,
            "file_ending": ".nii.gz",
        } | dataset
        (folder / "dataset.json").write_text(json.dumps({k: v for k, v in given.items() if v is not None}))
        (folder / "plans.json").write_text(json.dumps({"plans_name": "nnUNetPlans", "configurations": {}}))
        for fold in folds:
            (folder / f"fold_{fold}").mkdir()
            (folder / f"fold_{fold}" / "checkpoint_final.pth").write_bytes(b"weights")
        return folder

    def arguments(self) -> list[list[str]]:
        """What the stand-ins were called with."""
        return [json.loads(line) for line in self.asked.read_text().splitlines()]

    def _install(self, name: str, text: str) -> None:
        path = self.commands / name
        path.write_text(f"#!{sys.executable}\n{textwrap.dedent(text)}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False
