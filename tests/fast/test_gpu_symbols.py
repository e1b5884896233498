"""What a stack on a GPU's host waits for, told by the rows of CUDA, NCCL, CuPy, Triton, JAX and TensorFlow."""

from __future__ import annotations

import pytest

from diagnostics.model import Frame, Process, Role, Thread, WaitKind
from diagnostics.stacks.position import is_idle, main_position

CUDA, RUNTIME, NCCL = "/usr/lib/libcuda.so.1", "/v/lib/libcudart.so.12", "/v/lib/libnccl.so.2"
TORCH, TF, XLA = "/v/lib/libtorch_cuda.so", "/v/lib/libtensorflow_cc.so.2", "/v/lib/xla_cuda_plugin.so"
USER = (Frame("train", "/srv/job/train.py", 31), Frame("step", "/srv/job/model.py", 12))


def native(*names: str, library: str) -> tuple[Frame, ...]:
    return tuple(Frame(name, library, native=True) for name in names)


DEVICE = [
    native("cudaHostRegister", library=RUNTIME),
    native("cuStreamCreateWithPriority", library=CUDA),
    native("cuEventRecord", library=CUDA),
    native("cuMemHostUnregister", library=CUDA),
    native("cuMemPoolTrimTo", library=CUDA),
    native("cuStreamAddCallback", library=CUDA),
    native("cuModuleUnload", library=CUDA),
    native("cuIpcOpenMemHandle_v2", library=CUDA),
    native("cudaFreeHost", library=RUNTIME),
    native("cudaStreamEndCapture", library=RUNTIME),
    native("cudaDeviceReset", library=RUNTIME),
    native("at::cuda::CUDAGraph::replay", "cudaGraphLaunch", "cuGraphLaunch", library=TORCH),
    native("c10::cuda::CUDACachingAllocator::Native::DeviceCachingAllocator::malloc", "cudaMalloc", library=TORCH),
    native("stream_executor::gpu::GpuContext::Synchronize", library=TF),
    native("perftools::gputools::cuda::CUDADriver::RecordEvent", "cuEventRecord", library=TF),
    native("tensorflow::GPUUtil::CopyGPUTensorToCPU", library=TF),
    native("xla::PjRtStreamExecutorBuffer::AwaitReady", library=XLA),
    native("stream_executor::cuda::CudaStream::BlockHostUntilDone", library=XLA),
    native("waitWorkFifoAvailable", library=NCCL),
    (Frame("get", "/v/site-packages/cupy/_core/core.pyx", 1758),),
    (Frame("synchronize", "/v/site-packages/numba/cuda/cudadrv/driver.py", 1010),),
    (Frame("__call__", "/v/site-packages/triton/backends/nvidia/driver.py", 444),),
]  # fmt: skip



@pytest.mark.parametrize("inner", DEVICE, ids=lambda frames: frames[0].function)
def test_a_call_that_waits_for_the_device_is_a_position_with_the_users_frame(inner: tuple[Frame, ...]) -> None:
    found = main_position(Process("worker:0", 7, "node", threads=(Thread(7, "python", (*USER, *inner)),)))
    assert found and (found.function, found.line) == ("step", 12)
    assert found.waits is WaitKind.DEVICE and found.has(Role.DEVICE, Role.DEVICE_LAUNCH) and found.operation


@pytest.mark.parametrize(
    ("names", "stage"),
    [
        (("bootstrapInit", "socketRingAllGather"), "bootstrap"),
        (("initTransportsRank", "ncclTransportP2pSetup", "ncclProxyConnect", "ncclPollProxyResponse"), "connect"),
        (("ncclNvlsSetup",), "connect"),
        (("ncclTopoGetSystem",), "topology"),
    ],
)
def test_the_stages_of_a_communicators_start_are_told_apart(names: tuple[str, ...], stage: str) -> None:
    inner = native("pncclCommInitRankConfig", *names, library=NCCL)
    found = main_position(Process("worker:0", 7, "node", threads=(Thread(7, "python", (*USER, *inner)),)))
    assert found and found.waits is WaitKind.RENDEZVOUS and found.has(Role.RENDEZVOUS)
    alone = main_position(Process("worker:0", 7, "node", threads=(Thread(7, "python", (*USER, *inner[1:])),)))
    assert alone and stage in alone.operation


def test_a_communicator_that_is_aborted_waits_for_its_own_helper() -> None:
    inner = native("ncclCommAbort", "commFree", "ncclProxyDestroy", library=NCCL)
    found = main_position(Process("worker:0", 7, "node", threads=(Thread(7, "python", (*USER, *inner)),)))
    assert found and found.has(Role.TEARDOWN) and found.operation == "ncclCommAbort"


@pytest.mark.parametrize(
    ("name", "library"),
    [("tensorflow::EventMgr::PollLoop", TF), ("ncclProxyServiceUDS", NCCL), ("rasThreadMain", NCCL)],
)
def test_helpers_of_libraries_are_idle_by_nature(name: str, library: str) -> None:
    frames = (*native("start_thread", library="libc.so.6"), *native(name, library=library))
    found = main_position(Process("worker:0", 7, "node", threads=(Thread(7, "python", frames),)))
    assert found and is_idle(found)
