"""onnxruntime sessions that fit a small board: one thread, one small arena, nothing kept from loading."""

import ctypes
import logging
from functools import cache
from typing import Any

import onnxruntime

from zuluko.perception import prepare
from zuluko.perception.zoo import Model

log = logging.getLogger(__name__)


def session(model: Model, *, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session that runs ``model`` on the CPU; make it in the process that runs it, after any fork.

    Raises ModelError when the model is missing or wrong.

    Measured with YuNet at 640x480 and SFace in one process on x86-64, one thread: what both add to its PSS,
    and the milliseconds of one detection and one recognition.

        onnxruntime's defaults                      +86 MB    7 + 34 ms
        weights made float32 when loading          +122 MB    7 + 14 ms
        ... one arena, growing by what is asked    +113 MB    7 + 14 ms
        ... no memory pattern kept for each size    +97 MB    7 + 14 ms
        ... free memory given back after loading    +78 MB    7 + 14 ms    <- this
        instead no arena at all, buffers mapped     +60 MB   20 + 20 ms
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a pattern is kept for every picture size
    options.log_severity_level = 3  # errors only: warnings there are about graph details
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # weights become float32 when loading
    options.add_session_config_entry("session.use_env_allocators", "1")
    _share_arena()
    made = onnxruntime.InferenceSession(prepare.graph(model), options, providers=["CPUExecutionProvider"])
    _give_back()
    return made


@cache
def _share_arena() -> None:
    """One arena for all sessions of the process, growing by what is asked for instead of by doubling."""
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg({"arena_extend_strategy": 1}))


def _give_back() -> None:
    """Returns to the kernel what loading a graph has freed; glibc alone would keep it."""
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
