"""CUDA's driver and runtime, cuDNN, cuBLAS, HIP; CuPy and Triton's launchers.

Synchronising calls spin in user space unless the context was made otherwise (cudaDeviceScheduleBlockingSync).
https://docs.nvidia.com/cuda/cuda-driver-api/
"""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native, python

PACKAGES = ("cupy", "cupyx", "cupy_backends", "numba", "pynvml", "cuda", "nvidia", "pycuda")
LIBRARIES = (
    r"^lib(cuda|cudart|cudnn\w*|cublas\w*|cufft|curand|cusolver\w*|cusparse\w*|nvrtc\w*|nvidia\S*|nvJitLink|cupti"
    r"|amdhip64|hsa\w*|nvToolsExt)[\w.-]*$"
)
_G, _P = Weight.GENERAL, Weight.PRIMITIVE
_W = WaitKind
_API = "CUDA's reference, 12 and 13"

SYMBOLS = (
    native(r"^(?:_*p?)(cu(?:da)?(?:Ctx|Stream|Event|Device|Thread)Synchronize)\w*|^(cuda(?:Stream"
           r"|Event)(?:Wait\w*|Query))|^(hip\w*Synchronize)", "device synchronize", _W.DEVICE, Role.DEVICE,
           seen="recorded on an H100, CUDA 13; acts-project/traccc#569"),
    native(r"^cu(?:Event|Stream)Query|^cuStreamWait\w+|^cu(?:da)?EventRecord\w*|^cu(?:da)?EventElapsedTime",
           "driver call", _W.DEVICE, Role.DEVICE_LAUNCH, weight=_G, seen="tensorflow/tensorflow#2788",
           not_for="It waits only for the driver's own lock, which another thread has, or for room in the queue."),
    native(r"(?:stream_executor|perftools::gputools)::.*(?:BlockHostUntilDone|Synchronize\w*|WaitUntilDone)$",
           "device synchronize", _W.DEVICE, Role.DEVICE, weight=_G, seen="TensorFlow's and XLA's sources, 1.x to 2.x"),
    native(r"(?:stream_executor|perftools::gputools)::.*(?:RecordEvent|CreateStreamDependency|LaunchKernel|Launch)$"
           r"|perftools::gputools::Stream::ThenWaitFor", "kernel launch", _W.DEVICE, Role.DEVICE_LAUNCH, weight=_G,
           seen="tensorflow/tensorflow#2788"),
    native(r"(?:stream_executor|perftools::gputools)::.*(?:HostAllocate|DeviceAllocate|::Allocate|Deallocate)$",
           "device malloc", _W.DEVICE, Role.DEVICE, weight=_G, seen="TensorFlow's and XLA's sources, 1.x to 2.x"),
    native(r"(?:at|c10)::cuda::(?:CUDAEvent|CUDAStream)::synchronize|c10::cuda::(?:\w+::)?(?:stream_synchronize"
           r"|device_synchronize)", "device synchronize", _W.DEVICE, Role.DEVICE),
    native(r"^(?:cudaApiMemcpy\w*|cuda?Memcpy\w*|cuMemcpy\w*|cudaMemset\w*|cuMemset\w*|hipMemcpy\w*)",
           "copy to or from the device", _W.DEVICE, Role.DEVICE),
    native(r"^(?:cudaLaunch(?:Kernel|CooperativeKernel)\w*|cuLaunch(?:Kernel|CooperativeKernel)\w*"
           r"|hip\w*LaunchKernel\w*)", "kernel launch", _W.DEVICE, Role.DEVICE_LAUNCH,
           not_for="A launch waits only where the stream's queue is full or a module is loaded."),
    native(r"^(?:cu(?:da)?LaunchHostFunc|cu(?:da)?StreamAddCallback)\w*", "host function", _W.DEVICE,
           Role.DEVICE_LAUNCH),
    native(r"^(?:cudaGraph\w+|cuGraph\w+|cu(?:da)?Stream(?:Begin|End)Capture)\w*", "graph launch", _W.DEVICE,
           Role.DEVICE_LAUNCH),
    native(r"^(?:cudaMalloc\w*|cuMemAlloc\w*|cuMemCreate|cuMemMap|cudaHostAlloc|cuMemHostAlloc\w*" r"|hipMalloc\w*)",
           "device malloc", _W.DEVICE, Role.DEVICE, seen=_API),
    native(r"^(?:cudaHost(?:Register|Unregister)|cuMemHost(?:Register|Unregister))\w*", "pinning of memory", _W.DEVICE,
           Role.DEVICE, seen=_API),
    native(r"^cu(?:da)?(?:MemPoolTrimTo|MemPrefetch\w*)|^cuMem(?:SetAccess|ImportFromShareableHandle)"
           r"|^cuMulticast\w+|^cu(?:da)?Ipc\w+|^cu(?:da)?(?:Ctx|Device)EnablePeerAccess|^cu(?:da)?MemGetInfo\w*",
           "device memory", _W.DEVICE, Role.DEVICE, seen=_API),
    native(r"^(?:cudaFree\w*|cuMemFree\w*|cuMemUnmap|cuMemRelease|hipFree\w*)", "device free", _W.DEVICE, Role.DEVICE,
           seen="ros-industrial-attic/yak#23",
           not_for="It waits for all work on the device that was given before it."),
    native(r"^(?:cuModule(?:Load|Unload)\w*|cuLibraryLoad\w*|cuModuleGetFunction|cuLibraryGet\w*|cuLinkComplete"
           r"|cuKernelGet\w*)", "module load", _W.DEVICE, Role.DEVICE_LAUNCH),
    native(r"^(?:cuInit|cu(?:Ctx|Stream|Event)(?:Create|Destroy)\w*|cuDevicePrimaryCtx\w+|cuda(?:Set|Init)Device"
           r"|cudaDeviceReset|cuda(?:Stream|Event)(?:Create|Destroy)\w*|cudaGetDeviceCount|cuCtxSetCurrent)$",
           "device context", _W.DEVICE, Role.DEVICE, seen=_API),
    native(r"^(cudnn[A-Z]\w+|cublas[A-Z]\w+|cusolver[A-Z]\w+|cusparse[A-Z]\w+|cufft[A-Z]\w+|curand[A-Z]\w+)$", r"\1",
           None, Role.DEVICE_LAUNCH, weight=_P, seen="references of cuDNN 8 and 9, cuBLAS, cuSOLVER, cuFFT",
           not_for="Some try algorithms at their first call, and synchronise for it."),
    native(r"^(?:nvrtc\w+|cuLinkAddData\w*|ptx\w*Compile\w*)", "device compile", None, Role.COMPILE),
    python("cupy/cuda/stream.pyx|cupy/cuda/runtime.pyx", "synchronize|streamSynchronize|deviceSynchronize",
           "device synchronize", _W.DEVICE, Role.DEVICE),
    python("cupy/_core/core.pyx", "get|item|tolist|set", "copy to or from the device", _W.DEVICE,
           Role.DEVICE, weight=_G,
           seen="CuPy 12 to 14"),
    python("cupy/cuda/memory.pyx", "\\w*malloc\\w*|free\\w*|_try_malloc", "device malloc", _W.DEVICE, Role.DEVICE,
           weight=_G, seen="CuPy 12 to 14"),
    python("cupy/cuda/graph.pyx", "launch|upload", "graph launch", _W.DEVICE, Role.DEVICE_LAUNCH, seen="CuPy 12 to 14"),
    python("cupy/cuda/compiler.py|cupy/_core/raw.pyx", "compile\\w*|_compile\\w*", "device compile", None, Role.COMPILE,
           weight=_G, seen="CuPy 12 to 14"),
    python("numba/cuda/cudadrv/driver.py|numba/cuda/api.py", "synchronize", "device synchronize", _W.DEVICE,
           Role.DEVICE,
           seen="numba 0.5x and 0.6x"),
    python("numba/cuda/dispatcher.py", "launch", "kernel launch", _W.DEVICE, Role.DEVICE_LAUNCH, weight=_G,
           seen="numba 0.5x and 0.6x"),
    python("triton/backends/nvidia/driver.py|triton/backends/amd/driver.py", "__call__", "kernel launch", _W.DEVICE,
           Role.DEVICE_LAUNCH, weight=_G, seen="Triton 3.x"),
    python("triton/testing.py", "do_bench\\w*", "triton benchmark", None, Role.COMPILE, weight=_G,
           seen="Triton 2 and 3"),
    native(r"^__pyx_\w*cupy_backends\w*runtime_(?:memcpy|memset)\w*", "copy to or from the device", _W.DEVICE,
           Role.DEVICE, seen="CuPy 12 to 14"),
    native(r"^__pyx_pw_\w*(?:streamSynchronize|deviceSynchronize|eventSynchronize|\dsynchronize)", "device synchronize",
           _W.DEVICE, Role.DEVICE),
    native(r"^\?*$|^0x[0-9a-f]+$|^libcuda$", "", None, weight=_G, library=r"^libcuda\.", home=True),
    native(r"^-\[_?MTL\w*CommandBuffer waitUntil\w+\]|^torch::mps::MPSModule_deviceSynchronize"
           r"|^at::mps::MPSStream::synchronize",
           "device synchronize", _W.DEVICE, Role.DEVICE, seen="PyTorch 2.4 to 2.9 on Metal"),
    native(r"^libcuda_[0-9a-f]{16,}$", "", None, weight=_G, home=True),
    native(r"^cupti\w+", "", None, Role.PROXY, weight=_G),
)  # fmt: skip
