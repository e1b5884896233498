"""Jobs for one GPU that hang, wait or move, each a function; `bench/gpu.py` starts and attaches to them.

    python bench/gpu_programs.py NAME RANK PORT

A job that stands from now on, or moves for as long as it is let, says `stands`. A twin ends in `_ok` and does the same
without the fault. What a job needs and is not there it says on its way out.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time

FOR_EVER = 10**6
FINE = False
"""Whether this is a healthy twin."""


def stands() -> None:
    print("stands", flush=True)


def again_and_again(step) -> None:
    step()
    stands()
    while True:
        step()


def once_or_again(stuck, fine) -> None:
    """The fault, or its twin for as long as it is let."""
    if FINE:
        again_and_again(fine)
    stands()
    stuck()


def _torch():
    import torch

    torch.cuda.init()
    return torch


def healthy() -> None:
    torch = _torch()
    x = torch.randn(1024, 1024, device="cuda")
    again_and_again(lambda: (x @ x).sum().item())


def slow_kernels() -> None:
    torch = _torch()

    def step() -> None:
        torch.cuda._sleep(5_500_000_000)
        torch.zeros(1, device="cuda").item()

    again_and_again(step)


def spin() -> None:
    torch = _torch()

    def run(cycles: int) -> None:
        torch.cuda._sleep(cycles)
        torch.cuda.synchronize()

    once_or_again(lambda: run(1 << 62), lambda: run(1_000_000))


_KERNELS = r"""
extern "C" __global__ void wait_for(volatile int* flag) { while (*flag == 0) {} }
extern "C" __global__ void raise_it(int* flag) { *flag = 1; }
"""


def occupancy() -> None:
    import cupy

    module = cupy.RawModule(code=_KERNELS)
    wait_for, raise_it = module.get_function("wait_for"), module.get_function("raise_it")
    blocks = 64 * cupy.cuda.Device().attributes["MultiProcessorCount"]
    flag = cupy.zeros(1, cupy.int32)
    first, second = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)

    def run(in_order: bool) -> None:
        flag.fill(0)
        cupy.cuda.Device().synchronize()
        for function, stream, size in sorted(
            [(wait_for, first, blocks), (raise_it, second, 1)], key=lambda one: (one[2] > 1) is in_order
        ):
            with stream:
                function((size,), (1024 if size > 1 else 1,), (flag,))
        first.synchronize()

    once_or_again(lambda: run(False), lambda: run(True))


def two_streams_and_a_flag() -> None:
    import cupy

    module = cupy.RawModule(code=_KERNELS)
    wait_for, raise_it = module.get_function("wait_for"), module.get_function("raise_it")
    flag = cupy.zeros(1, cupy.int32)
    first, second = cupy.cuda.Stream(non_blocking=True), cupy.cuda.Stream(non_blocking=True)

    def run(waits_for_the_other: bool) -> None:
        flag.fill(0)
        cupy.cuda.Device().synchronize()
        with first:
            wait_for((1,), (1,), (flag,))
        if waits_for_the_other:
            second.wait_event(first.record())
        with second:
            raise_it((1,), (1,), (flag,))
        first.synchronize()

    once_or_again(lambda: run(True), lambda: run(False))


def _runtime(kind=ctypes.CDLL):
    """CUDA's runtime, as the framework has it loaded already."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        path = next(line.split()[-1] for line in maps if "libcudart" in line)
    return kind(path)


_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def host_function_gil() -> None:
    torch = _torch()
    torch.zeros(1, device="cuda")
    runtime, keeps = _runtime(), _runtime(ctypes.PyDLL)
    nothing = _HOST_FUNCTION(lambda _: time.sleep(0.01))

    def run(library) -> None:
        runtime.cudaLaunchHostFunc(ctypes.c_void_p(torch.cuda.current_stream().cuda_stream), nothing, None)
        library.cudaDeviceSynchronize()

    once_or_again(lambda: run(keeps), lambda: run(runtime))


def graph_that_waits() -> None:
    torch = _torch()
    x, runtime, come = torch.zeros(8, device="cuda"), _runtime(), threading.Event()
    waits = _HOST_FUNCTION(lambda _: come.wait(0.01 if FINE else FOR_EVER))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        x.add_(1)
        runtime.cudaLaunchHostFunc(ctypes.c_void_p(torch.cuda.current_stream().cuda_stream), waits, None)

    def run() -> None:
        graph.replay()
        torch.cuda.synchronize()

    once_or_again(run, run)


def value_that_nobody_writes() -> None:
    torch = _torch()
    flag, driver = torch.zeros(1, dtype=torch.int32, device="cuda"), ctypes.CDLL("libcuda.so.1")
    torch.cuda.synchronize()

    def run(value: int) -> None:
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        failed = driver.cuStreamWaitValue32_v2(stream, ctypes.c_void_p(flag.data_ptr()), ctypes.c_uint(value), 0)
        if failed:
            sys.exit(f"cuStreamWaitValue32 is not supported here: {failed}")
        torch.cuda.synchronize()

    once_or_again(lambda: run(1), lambda: run(0))


def allocation_under_a_lock() -> None:
    torch = _torch()
    lock, taken = threading.Lock(), threading.Event()

    def hold(cycles: int) -> None:
        with lock:
            torch.cuda._sleep(cycles)
            taken.set()
            torch.cuda.synchronize()

    def run(cycles: int) -> None:
        taken.clear()
        threading.Thread(target=hold, args=(cycles,), daemon=True).start()
        taken.wait()
        with lock:
            torch.empty(1 << 20, device="cuda")

    once_or_again(lambda: run(1 << 62), lambda: run(1_000_000))


def loader_blocked(pin: bool = False) -> None:
    torch = _torch()

    class Numbers(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return FOR_EVER

        def __getitem__(self, index: int):
            if not FINE and index > 8:
                os.read(silent, 1)
            return torch.zeros(8)

    silent, _kept = os.pipe()
    batches = iter(torch.utils.data.DataLoader(Numbers(), num_workers=2, pin_memory=pin))

    def step() -> None:
        next(batches).to("cuda", non_blocking=pin).sum().item()

    step()
    once_or_again(lambda: [step() for _ in range(FOR_EVER)], step)


def loader_that_pins() -> None:
    loader_blocked(pin=True)


def _group(rank: int, port: int):
    torch = _torch()
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE="2")
    torch.distributed.init_process_group("nccl", rank=rank, world_size=2)
    return torch


def nccl_peer_missing() -> None:
    torch = _group(RANK, PORT)
    x = torch.ones(8, device="cuda")

    def reduce() -> None:
        torch.distributed.all_reduce(x)
        torch.cuda.synchronize()

    if FINE:
        again_and_again(reduce)
    stands()
    time.sleep(FOR_EVER) if RANK else reduce()


def communicator_aborted_by_one() -> None:
    torch = _group(RANK, PORT)
    x = torch.ones(8, device="cuda")
    torch.distributed.all_reduce(x)
    torch.cuda.synchronize()
    stands()
    if RANK:
        torch.distributed.distributed_c10d._abort_process_group()
        time.sleep(FOR_EVER)
    torch.distributed.all_reduce(x)
    torch.cuda.synchronize()


def peer_that_never_comes() -> None:
    from cupy.cuda import nccl

    stands()
    nccl.NcclCommunicator(2, nccl.get_unique_id(), 0)


def jax_callback() -> None:
    import jax

    come = threading.Event()

    def ask(x):
        come.wait(0.01 if FINE else FOR_EVER)
        return x

    step = jax.jit(lambda x: jax.pure_callback(ask, jax.ShapeDtypeStruct(x.shape, x.dtype), x @ x).sum())
    x = jax.numpy.ones((64, 64))
    if jax.devices()[0].platform not in ("gpu", "cuda"):
        sys.exit("JAX sees no GPU")
    once_or_again(lambda: step(x).block_until_ready(), lambda: step(x).block_until_ready())


def jax_loop() -> None:
    import jax

    if jax.devices()[0].platform not in ("gpu", "cuda"):
        sys.exit("JAX sees no GPU")
    @jax.jit
    def run(x, most):
        # What it computes must depend on each round, or the compiler takes the loop away.
        return jax.lax.while_loop(lambda s: s[1] < most, lambda s: (s[0] * 0.999 + 0.1, s[1] + 1), (x, 0))[0]

    x = jax.numpy.ones(8)
    run(x, 10).block_until_ready()
    once_or_again(lambda: run(x, 2**31 - 1).block_until_ready(), lambda: run(x, 10).block_until_ready())


def tensorflow_callback() -> None:
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        sys.exit("TensorFlow sees no GPU")
    come = threading.Event()

    def ask(x):
        come.wait(0.01 if FINE else FOR_EVER)
        return x

    @tf.function
    def step(x):
        return tf.reduce_sum(tf.py_function(ask, [x @ x], tf.float32))

    x = tf.ones((64, 64))
    once_or_again(lambda: step(x).numpy(), lambda: step(x).numpy())


if __name__ == "__main__":
    NAME, RANK, PORT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    FINE = NAME.endswith("_ok")
    globals()[NAME.removesuffix("_ok")]()
