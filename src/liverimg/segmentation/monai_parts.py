"""What is used of MONAI, loaded without the libraries that it can do without.

Whatever is imported of MONAI, all of it is loaded, and with it every optional library that happens to be installed:
three times the work of MONAI itself, for readers, plots and logs that nobody here asks it for. A program that wants
MONAI with all of them imports ``monai`` before it runs a model of liverimg.
"""

from __future__ import annotations

import torch  # noqa: F401 - with all that belongs to it

from liverimg.core.imports import going_without

with going_without(
    "cv2",
    "fire",
    "ignite",
    "itk",
    "lmdb",
    "matplotlib",
    "mlflow",
    "onnx",
    "pandas",
    "pywt",
    "scipy.signal",
    "tensorboard",
    "tensorboardX",
    "tifffile",
    "torchvision",
    # Grammars of web addresses, built by jsonschema for more than a second.
    "rfc3987",
    "rfc3987_syntax",
):
    from monai.bundle.config_parser import ConfigParser
    from monai.inferers.inferer import Inferer
    from monai.networks.nets.unet import UNet

__all__ = ["ConfigParser", "Inferer", "UNet"]
