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
_G = Weight.GENERAL
_W = WaitKind

SYMBOLS = (
    native(r"^(?:_*p?)(cu(?:da)?(?:Ctx|Stream|Event|Device|Thread)Synchronize)\w*|^(cuda(?:Stream"
           r"|Event)(?:Wait\w*|Query))|^(hip\w*Synchronize)", "device synchronize", _W.DEVICE, Role.DEVICE),
    native(r"at::cuda::(?:CUDAEvent|CUDAStream)::synchronize|c10::cuda::(?:\w+::)?(?:stream_synchronize"
           r"|device_synchronize)", "device synchronize", _W.DEVICE, Role.DEVICE),
    native(r"^(?:cudaApiMemcpy\w*|cuda?Memcpy\w*|cuMemcpy\w*|cudaMemset\w*|cuMemset\w*|hipMemcpy\w*)",
           "copy to or from the device", _W.DEVICE, Role.DEVICE),
    native(r"^(?:cudaLaunch(?:Kernel|CooperativeKernel)\w*|cuLaunch(?:Kernel|CooperativeKernel)\w*"
           r"|hip\w*LaunchKernel\w*)", "kernel launch", _W.DEVICE, Role.DEVICE_LAUNCH,
           not_for="A launch waits only where the stream's queue is full or a module is loaded."),
    native(r"^(?:cudaLaunchHostFunc|cuLaunchHostFunc|cudaStreamAddCallback)\w*", "host function", _W.DEVICE,
           Role.DEVICE_LAUNCH),
    native(r"^(?:cudaGraphLaunch|cuGraphLaunch|cudaGraphInstantiate|cuGraph\w+)\w*", "graph launch", _W.DEVICE,
           Role.DEVICE_LAUNCH),
    native(r"^(?:cudaMalloc\w*|cuMemAlloc\w*|cuMemCreate|cuMemMap|cudaHostAlloc|cuMemHostAlloc\w*" r"|hipMalloc\w*)",
           "device malloc", _W.DEVICE, Role.DEVICE),
    native(r"^(?:cudaFree\w*|cuMemFree\w*|cuMemUnmap|cuMemRelease|hipFree\w*)", "device free", _W.DEVICE, Role.DEVICE,
           not_for="It waits for all work on the device that was given before it."),
    native(r"^(?:cuModuleLoad\w*|cuLibraryLoad\w*|cuModuleGetFunction|cuLibraryGet\w*|cuLinkComplete"
           r"|cuKernelGet\w*)", "module load", _W.DEVICE, Role.DEVICE_LAUNCH),
    native(r"^(?:cuInit|cuCtxCreate\w*|cuDevicePrimaryCtxRetain|cudaSetDevice|cuDevicePrimaryCtxReset\w*"
           r"|cuCtxDestroy\w*)$", "device context", _W.DEVICE, Role.DEVICE),
    native(r"^(?:nvrtc\w+|cuLinkAddData\w*|ptx\w*Compile\w*)", "device compile", None, Role.COMPILE),
    python("cupy/cuda/stream.pyx|cupy/cuda/runtime.pyx", "synchronize|streamSynchronize|deviceSynchronize",
           "device synchronize", _W.DEVICE, Role.DEVICE),
    native(r"^__pyx_pw_\w*(?:streamSynchronize|deviceSynchronize|eventSynchronize|\dsynchronize)", "device synchronize",
           _W.DEVICE, Role.DEVICE),
    native(r"^\?*$|^0x[0-9a-f]+$|^libcuda$", "", None, weight=_G, library=r"^libcuda\.", home=True),
    native(r"^cupti\w+", "", None, Role.PROXY, weight=_G),
)  # fmt: skip
