"""What cuda-gdb prints, in the forms of its manual and of public reports, read into kernels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diagnostics.frameworks.cuda.debugger import failure_of, kernels_of
from diagnostics.model import KernelPlace

OLD = """\
  Kernel Parent Dev Grid Status   SMs Mask   GridDim  BlockDim      Name Args
*      1      -   0    2 Active 0x00ffffff (240,1,1) (128,1,1) acos_main parms=...
  BlockIdx ThreadIdx To BlockIdx ThreadIdx Count         Virtual PC Filename Line
Device 0 SM 0
*  (0,0,0)   (0,0,0)     (0,0,0)  (31,0,0)    32 0x000000000088f88c  acos.cu   376
   (0,0,0)  (32,0,0)   (191,0,0) (127,0,0) 24544 0x000000000088f800  acos.cu   374
   (192,0,0)  (0,0,0)  (239,0,0) (127,0,0)  6144 0x000000000088f88c  acos.cu   376
"""
NEW = """\
[Switching focus to CUDA kernel 0, grid 11534, block (0,0,0), thread (0,0,0), device 1, sm 0, warp 0, lane 0]
  Kernel Parent Dev  Grid Status                          SMs Mask  GridDim  BlockDim Invocation
*      0      -   1 11534 Active 0x0000000000000000000000000000000000000003 (2,1,1) (512,1,1) ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)
       1      -   1 11535 Pending 0x00000000000000000000000000000000000000 (1, 1, 1) (32, 1, 1) void at::native::fill<4, int>(int, float)
  BlockIdx ThreadIdx To BlockIdx ThreadIdx Count Virtual PC Filename Line
*  (0,0,0)   (0,0,0)     (1,0,0) (511,0,0)  1024 0x00007f3ad12d6b50 n/a 0
"""  # noqa: E501


def test_the_kernel_in_focus_has_its_lanes_folded_by_place() -> None:
    (kernel,) = kernels_of(OLD)
    assert (kernel.name, kernel.device, kernel.grid, kernel.status, kernel.sms) == ("acos_main", 0, 2, "Active", 24)
    assert kernel.places == (
        KernelPlace("0x88f800", 24544, "acos.cu", 374), KernelPlace("0x88f88c", 6176, "acos.cu", 376),
    )  # fmt: skip


def test_newer_columns_names_of_templates_and_lanes_without_lines_are_read() -> None:
    first, second = kernels_of(NEW)
    assert first.name.startswith("ncclDevKernel_AllGather_RING_LL(") and (first.device, first.sms) == (1, 2)
    assert first.places == (KernelPlace("0x7f3ad12d6b50", 1024),) and not second.places
    assert (second.status, second.name) == ("Pending", "void at::native::fill<4, int>(int, float)")


@pytest.mark.parametrize(
    "said",
    [
        "ptrace: Operation not permitted.",
        "The CUDA driver could not allocate operating system resources for attaching to the application.",
        "Timed out waiting for the CUDA API to initialize.",
    ],
)
def test_why_there_is_none_is_told_in_its_own_words(said: str) -> None:
    text = f"NVIDIA (R) cuda-gdb 12.8\n{said}\nNo symbol table is loaded.\n"
    assert kernels_of(text) == () and failure_of(text) == said


@given(st.text(max_size=400))
def test_any_text_is_read_without_an_error(text: str) -> None:
    kernels_of(text), kernels_of(OLD + text), failure_of(text)
