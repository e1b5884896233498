"""Frameworks that have the training loop or the server: what lies nearest to the user where no code of his own runs."""

from diagnostics.model import Role, WaitKind
from diagnostics.stacks.symbol import Owner, Weight, python

OWNER = Owner.APPLICATION
PACKAGES = (
    "megatron", "deepspeed", "lightning", "pytorch_lightning", "lightning_fabric", "transformers", "accelerate", "trl",
    "verl", "colossalai", "fairseq", "nemo", "nemo_toolkit", "composer", "streaming", "torchtitan", "axolotl", "peft",
    "diffusers", "torchtune", "llamafactory", "open_clip", "timm", "detectron2", "mmengine", "mmcv", "mmdet", "ignite",
    "fastai", "allennlp", "catalyst", "openrlhf", "slime", "unsloth", "bytedance", "fairscale", "levanter", "maxtext",
    "t5x", "paxml", "flax", "optax", "orbax", "haiku", "swift", "ms_swift", "stable_baselines3", "skrl", "rl_games",
)  # fmt: skip
_G, _P = Weight.GENERAL, Weight.PRIMITIVE
_W = WaitKind
_OPERATIONS = (
    "all_reduce|all_gather\\w*|reduce_scatter\\w*|broadcast\\w*|all_to_all\\w*|reduce|gather|scatter|send|recv"
)

SYMBOLS = (
    python("deepspeed/runtime/zero/",
           "all_gather_coalesced|__all_gather_params_?|fetch_sub_module|allreduce_bucket|_?all_gather\\w*"
           "|_?reduce_scatter\\w*", "collective of ZeRO", _W.COLLECTIVE, Role.COLLECTIVE, weight=_G),
    python("deepspeed/comm/comm.py", "barrier|monitored_barrier", r"\g<0>", _W.COLLECTIVE, Role.COLLECTIVE,
           Role.BARRIER),
    python("deepspeed/comm/comm.py", _OPERATIONS, r"\g<0>", _W.COLLECTIVE, Role.COLLECTIVE),
    python("deepspeed/comm/comm.py", "init_distributed", "init_process_group", _W.RENDEZVOUS, Role.RENDEZVOUS),
    python("deepspeed/runtime/engine.py", "save_checkpoint|load_checkpoint|_save_zero_checkpoint", r"\g<0>", None,
           Role.SAVE, weight=_G),
    python("deepspeed/ops/op_builder/builder.py", "jit_load|load", "build of an extension", None, Role.COMPILE,
           weight=_G),
    python("deepspeed/launcher/", "main|\\w*wait\\w*|run", "deepspeed's launcher", _W.CHILD, Role.SPAWN, weight=_G),
    python("megatron/core/pipeline_parallel/p2p_communication.py|megatron/p2p_communication.py",
           "_communicate|_p2p_ops|_batched_p2p_ops|send_\\w+|recv_\\w+", "pipeline send and receive", _W.COLLECTIVE,
           Role.COLLECTIVE, weight=_G),
    python("megatron/training/initialize.py|megatron/initialize.py", "_initialize_distributed|initialize_megatron",
           "init_process_group", _W.RENDEZVOUS, Role.RENDEZVOUS, weight=_G),
    python("megatron/training/checkpointing.py|megatron/checkpointing.py",
           "save_checkpoint\\w*|load_checkpoint|_load_base_checkpoint", r"\g<0>", None, Role.SAVE, weight=_G),
    python("megatron/core/dist_checkpointing/", "save|load|save_preprocess|async_\\w+|finalize\\w*|validate\\w*",
           "distributed checkpoint", None, Role.SAVE, weight=_G),
    python("megatron/training/training.py|megatron/training.py", "evaluate|evaluate_and_print_results", "evaluate",
           None, Role.EVALUATE, weight=_P),
    python("megatron/training/training.py", "save_checkpoint_and_time", "save_checkpoint", None, Role.SAVE, weight=_G),
    python("accelerate/state.py|accelerate/accelerator.py", "wait_for_everyone", "wait_for_everyone", _W.COLLECTIVE,
           Role.COLLECTIVE, Role.BARRIER),
    python("accelerate/utils/operations.py",
           "gather|gather_object|reduce|broadcast|broadcast_object_list|_gpu_gather\\w*|_gpu_broadcast\\w*"
           "|pad_across_processes", r"\g<0>", _W.COLLECTIVE, Role.COLLECTIVE, weight=_G),
    python("accelerate/commands/launch.py", "\\w*launcher|launch_command", "accelerate launch", _W.CHILD, Role.SPAWN,
           weight=_G),
    python("accelerate/data_loader.py", "__iter__|__next__", "DataLoader.__next__", _W.INPUT, Role.INPUT_NEXT,
           weight=_G),
    python("transformers/trainer.py", "evaluate|evaluation_loop|predict|prediction_loop", "evaluate", None,
           Role.EVALUATE, weight=_P),
    python("transformers/trainer.py", "_save_checkpoint|save_model|_save|_load_from_checkpoint", "checkpoint", None,
           Role.SAVE, weight=_G),
    python("transformers/modeling_utils.py", "save_pretrained|from_pretrained", r"\g<0>", None, Role.SAVE, weight=_P),
    python("lightning/fabric/utilities/distributed.py|lightning_fabric/utilities/distributed.py"
           "|pytorch_lightning/utilities/distributed.py",
           "_sync_ddp\\w*|sync_ddp\\w*|_all_gather\\w*|gather_all_tensors|_gather_all_tensors"
           "|_simple_gather_all_tensors", "all_reduce", _W.COLLECTIVE, Role.COLLECTIVE, weight=_G),
    python("lightning/pytorch/strategies/|pytorch_lightning/strategies/|lightning/fabric/strategies/"
           "|lightning_fabric/strategies/", "barrier", "barrier", _W.COLLECTIVE, Role.COLLECTIVE, Role.BARRIER,
           weight=_G),
    python("lightning/pytorch/loops/evaluation_loop.py|pytorch_lightning/loops/evaluation_loop.py",
           "run|advance|_evaluation_step", "evaluate", None, Role.EVALUATE, weight=_P),
    python("lightning/pytorch/callbacks/|pytorch_lightning/callbacks/", "_?save_\\w*checkpoint\\w*|_save_\\w+",
           "checkpoint", None, Role.SAVE, weight=_G),
    python("lightning/pytorch/callbacks/|pytorch_lightning/callbacks/|transformers/trainer_callback.py", "on_.*", "",
           None, Role.CALLBACK, weight=_P),
    python("orbax/checkpoint/", "save|restore|wait_until_finished|finalize|_?sync_global_\\w+", r"checkpoint \g<0>",
           None, Role.SAVE, weight=_G),
    python("orbax/checkpoint/", "sync_global_processes|barrier_sync\\w*|_?wait_at_barrier\\w*", "barrier",
           _W.RENDEZVOUS, Role.BARRIER, Role.RENDEZVOUS),
    python("orbax/checkpoint/_src/futures/", "result|join|_thread_func", "", None, Role.SAVE, weight=_G),
)  # fmt: skip
