"""NCCL and RCCL: communicators, enqueueing, helpers."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Weight, native

LIBRARIES = r"^lib(nccl|rccl|nccl-net|nccl_static|mscclpp)[\w.-]*$"
NAMESPACE = r"^(?:nccl|rccl)"
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
           r"|p?ncclCommRevoke|commFree$|ncclProxy(?:Stop|Destroy)|ncclRasCommFini)", "ncclCommAbort", _W.COLLECTIVE,
           Role.TEARDOWN, seen="2.7 to 2.28; NVIDIA/nccl#863, #1777"),
    native(r"^p?nccl(?:CommWindow(?:Register|Deregister)|WinRegister)", "ncclCommWindowRegister", _W.COLLECTIVE,
           Role.COLLECTIVE, seen="NCCL's reference, 2.27"),
    native(r"^(?:ncclStrongStreamSynchronize|waitWorkFifoAvailable)", "launch of NCCL's kernel", _W.DEVICE,
           Role.DEVICE_LAUNCH, weight=_G, seen="NCCL's sources, 2.12 to 2.28",
           not_for="The queue of work for the kernels is full: one of them does not end."),
    native(r"^hostStreamPlan(?:Callback|Task)", "NCCL's host function", _W.DEVICE, Role.DEVICE_LAUNCH, weight=_G,
           seen="NCCL's sources, 2.12 to 2.28"),
    native(r"^bootstrap(?:Init|Split|AllGather|Barrier|IntraNode\w*|Recv|Send|socketAccept|Connect)\w*"
           r"|^socketAccept\w*$|^bootstrapNet(?:Accept|Connect|Recv|Send)|^ncclSocket(?:Accept|Connect" r"|Ready)\w*",
           "ncclCommInitRank (bootstrap)", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G, seen="2.4 to 2.28",
           not_for="It polls and spins: CPU time is no progress here."),
    native(r"^socketRing\w+|^bootstrapRing\w*|^ringAllInfo$|^ncclSocket(?:Wait|PollConnect)$|^socketPollConnect$",
           "ncclCommInitRank (bootstrap)", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G,
           seen="NCCL's sources, 2.19 to 2.28"),
    native(r"^ncclTransport\w*(?:Setup|Connect|Check\w+)|^initTransportsRank|^p2p\w*Connect|^net\w*Connect"
           r"|^ncclTransportP2pSetup|^ncclProxy(?:Connect|Call\w+|Client\w+)|^ncclPollProxyResponse|^ncclNvls\w+"
           r"|^ncclCollNet\w*Setup|^collNet\w*Connect|^nccl(?:Ib|NetSocket)(?:Connect|Accept)"
           r"|^nccl(?:P2P|Coll)PreconnectFunc|^nccl(?:Devr|Symk)Init\w*|^setupChannel$",
           "ncclCommInitRank (connect)", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G,
           seen="NCCL's sources, 2.12 to 2.28; ncclPollProxyResponse in NVIDIA/nccl#1936",
           not_for="Peers are also connected at the first collective between them."),
    native(r"^ncclTopoGetSystem|^ncclTopo\w*Compute|^ncclTopoTuneModel", "ncclCommInitRank (topology)", _W.RENDEZVOUS,
           Role.RENDEZVOUS, weight=_G, seen="NCCL's sources, 2.12 to 2.28"),
    native(r"^p?ncclCommInit(?:Rank|All|RankConfig|RankDev|RankFunc|RankScalable)\w*|^ncclCommSplit"
           r"|^p?ncclCommSplit\w*|^ncclCommInitRankDev|^p?ncclComm(?:Shrink|Grow)|^ncclCommInitChildComm"
           r"|^p?ncclGetUniqueId$", "ncclCommInitRank", _W.RENDEZVOUS, Role.RENDEZVOUS),
    native(r"^p?nccl(AllReduce|AllGather|Broadcast|Bcast|Reduce|ReduceScatter|AlltoAll|Send|Recv)(?:_impl)?$",
           r"nccl\1", _W.COLLECTIVE, Role.COLLECTIVE, weight=_G),
    native(r"^(?:ncclLaunchKernel\w*|ncclLaunchPrepare|ncclLaunchFinish|doLaunches|ncclKernelPlan\w*)",
           "launch of NCCL's kernel", _W.DEVICE, Role.DEVICE_LAUNCH, weight=_G),
    native(r"^(?:p?ncclGroupEnd\w*|groupLaunch\w*|ncclEnqueueCheck|asyncJobLaunch\w*|ncclGroupEndInternal"
           r"|ncclGroupJobComplete|groupJobMain|ncclAsyncJobMain)",
           "ncclGroupEnd", _W.COLLECTIVE, Role.COLLECTIVE, weight=_G),
    native(r"^ncclDevKernel_|^ncclKernel_", "NCCL's kernel", _W.COLLECTIVE, Role.COLLECTIVE),
)  # fmt: skip
