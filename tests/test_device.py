import errno

import pytest
import torch

from multistyle.device import UNKNOWN, free_memory, is_out_of_memory
from multistyle.errors import MultistyleError


def test_a_system_that_does_not_tell_its_free_memory(monkeypatch):
    monkeypatch.setattr("pathlib.Path.is_file", lambda path: False)
    assert 1 << 20 < free_memory(torch.device("cpu")) < 1 << 50
    monkeypatch.delattr("os.sysconf")
    assert free_memory(torch.device("cpu")) == UNKNOWN


def test_what_pytorch_keeps_on_a_gpu_is_free(monkeypatch):
    sizes = {"mem_get_info": (100, 1000), "memory_reserved": 50, "memory_allocated": 20}
    for name, size in sizes.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, size=size: size)
    assert free_memory(torch.device("cuda")) == 130


def test_memory_that_no_machine_has_is_out_of_memory():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        RuntimeError("[enforce fail at alloc_cpu.cpp:80] data. DefaultCPUAllocator: not enough memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB)."),
        RuntimeError("Invalid buffer size: 40.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("unable to mmap 9223372036854775807 bytes from file </x>: Cannot allocate memory (12)"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_every_system_says_it_in_other_words(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x4 and 5x8)"),
        OSError(errno.ENOSPC, "No space left on device", "out of memory.png"),
        ValueError("out of memory"),
        MultistyleError("cannot read out of memory.png: it is a folder"),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_are_not(error):
    assert not is_out_of_memory(error)
