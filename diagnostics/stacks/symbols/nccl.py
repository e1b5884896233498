"""NCCL and RCCL: communicators, enqueueing, helpers."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native

LIBRARIES = r"^lib(nccl|rccl|nccl-net|nccl_static|mscclpp)[\w.-]*$"
_G = Weight.GENERAL
_W = WaitKind

SYMBOLS = (
    native(r"^ncclProxy(?:Service\w*|Progress\w*)|^proxyProgressAsync|^ncclProxyServiceUDS", "", None, Role.PROXY,
           weight=_G, seen="2.4 to 2.28"),
    native(r"^ras(?:Thread\w*|EventLoop|NetHandle\w*)|^ncclRas", "", None, Role.PROXY, weight=_G, seen="2.24 to 2.28"),
    native(r"^bootstrapRoot", "", None, Role.PROXY, weight=_G,
           not_for="It serves one rank's unique id, and ends when all ranks have called."),
    native(r"^persistentSocketThread|^persistentThread|^ibv_get_async_event|^wrap_ibv_get_async_event"
           r"|^ncclGinProgress|^ncclGin\w*Thread|^ncclAsyncThread|^wrap_ibv_\w*async|^ncclIbAsyncThreadMain", "", None,
           Role.PROXY, weight=_G),
    native(r"^(?:p?ncclCommAbort|commReclaim|p?ncclCommDestroy|p?ncclCommFinalize|commDestroySync|commCleanup"
           r"|p?ncclCommRevoke)", "ncclCommAbort", _W.COLLECTIVE, Role.TEARDOWN, seen="2.7 to 2.28"),
    native(r"^bootstrap(?:Init|Split|AllGather|Barrier|IntraNode\w*|Recv|Send|socketAccept|Connect)\w*"
           r"|^socketAccept\w*$|^bootstrapNet(?:Accept|Connect|Recv|Send)|^ncclSocket(?:Accept|Connect" r"|Ready)\w*",
           "ncclCommInitRank (bootstrap)", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G, seen="2.4 to 2.28",
           not_for="It polls and spins: CPU time is no progress here."),
    native(r"^ncclTransport\w*(?:Setup|Connect)|^initTransportsRank|^p2p\w*Connect|^net\w*Connect"
           r"|^ncclTransportP2pSetup", "ncclCommInitRank (connect)", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G),
    native(r"^p?ncclCommInit(?:Rank|All|RankConfig|RankDev|RankFunc|RankScalable)\w*|^ncclCommSplit"
           r"|^p?ncclCommSplit\w*|^ncclCommInitRankDev", "ncclCommInitRank", _W.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"^p?nccl(AllReduce|AllGather|Broadcast|Bcast|Reduce|ReduceScatter|AlltoAll|Send|Recv)(?:_impl)?$",
           r"nccl\1", _W.COLLECTIVE, Role.COLLECTIVE, weight=_G),
    native(r"^(?:ncclLaunchKernel\w*|ncclLaunchPrepare|ncclLaunchFinish|doLaunches|ncclKernelPlan\w*)",
           "launch of NCCL's kernel", _W.DEVICE, Role.DEVICE_LAUNCH, weight=_G),
    native(r"^(?:p?ncclGroupEnd\w*|groupLaunch\w*|ncclEnqueueCheck|asyncJobLaunch\w*|ncclGroupEndInternal)",
           "ncclGroupEnd", _W.COLLECTIVE, Role.COLLECTIVE, weight=_G),
    native(r"^ncclDevKernel_|^ncclKernel_", "NCCL's kernel", _W.COLLECTIVE, Role.COLLECTIVE),
)  # fmt: skip
