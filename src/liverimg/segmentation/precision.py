"""Whether half precision pays on this processor."""

from __future__ import annotations

import torch


def use_bfloat16(device: torch.device) -> bool:
    """True where bfloat16 arithmetic exists in hardware; elsewhere it is emulated and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.backends.cpu.get_cpu_capability()
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return "AVX512" in capabilities and bool(supported() or amx())
