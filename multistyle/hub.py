"""Download weight files and style files from the Hugging Face Hub. Needs the extra `hub`.

An address is hf://USER/REPOSITORY, or hf://USER/REPOSITORY/FILE if the repository has several safetensors files. Files
are kept in the library's cache, which is used if the hub cannot be reached. The hub is that of the environment variable
HF_ENDPOINT, as for the library itself. Nothing is ever uploaded.
"""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

from .errors import WeightsError, first_line

SUFFIX = ".safetensors"  # no other format is read: a pickle could run code
SHOWN = 5  # files listed in an error
PATIENCE = 10.0  # s to wait for an answer, before the cache is used


def local_file(file: str | Path) -> Path:
    """The path of `file`; if that is an address on the hub, the file is downloaded first.

    Raises `WeightsError` for an invalid address, if the library is missing, if the hub or the repository cannot be
    reached, and if the repository does not have the file, or not exactly one.
    """
    text = file.as_posix() if isinstance(file, Path) else file
    if not re.match("hf:/", text):
        return Path(file)
    found = re.fullmatch(rf"hf://?([\w.-]+/[\w.-]+)(?:/(.+{re.escape(SUFFIX)}))?/?", text)  # a Path turns // into /
    if found is None:
        raise WeightsError(f"an address is hf://USER/REPOSITORY or hf://USER/REPOSITORY/FILE{SUFFIX}, not {text}")
    if find_spec("huggingface_hub") is None:
        raise WeightsError("hf:// addresses need huggingface_hub: pip install 'multistyle[hub]'")
    return _download(*found.groups())


def _download(repository: str, name: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    address = f"hf://{repository}" + (f"/{name}" if name else "")
    try:
        names, reached = _list_files(repository)
        chosen = _choose(repository, name, names if reached or name is None else [name])
        return Path(hf_hub_download(repository, chosen, endpoint=_endpoint(), local_files_only=not reached))
    except WeightsError:
        raise
    except GatedRepoError as error:
        raise WeightsError(f"cannot download {address}: its owner must grant you access first") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise WeightsError(f"cannot download {address}: there is no such repository, or it is private") from error
    except LocalEntryNotFoundError as error:
        raise WeightsError(f"cannot download {address}: the hub cannot be reached, and it is not cached") from error
    except Exception as error:  # of the HTTP library, which differs between versions
        raise WeightsError(f"cannot download {address}: {first_line(error)}") from error


def _list_files(repository: str) -> tuple[list[str], bool]:
    """The names of the repository's files, and whether the hub was reached; if not, those in the cache."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        siblings = HfApi(_endpoint()).model_info(repository, timeout=PATIENCE).siblings  # unlike others, not retried
        return [file.rfilename for file in siblings or []], True
    except (HfHubHTTPError, HFValidationError):
        raise
    except Exception:  # no network; the error is that of the HTTP library
        cached = Path(snapshot_download(repository, local_files_only=True))
        return [path.relative_to(cached).as_posix() for path in cached.rglob("*") if path.is_file()], False


def _choose(repository: str, name: str | None, listed: list[str]) -> str:
    """`name` if it is listed; the one safetensors file if `name` is None. Raises `WeightsError`."""
    names = sorted(file for file in listed if file.endswith(SUFFIX))
    some = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    if not names:
        raise WeightsError(f"hf://{repository} has no {SUFFIX} file, the only format that is read")
    if name is not None and name not in names:
        raise WeightsError(f"hf://{repository} has no file {name}; it has {some}")
    if name is None and len(names) > 1:
        raise WeightsError(f"hf://{repository} has {len(names)} {SUFFIX} files ({some}); add /FILE to the address")
    return name or names[0]


def _endpoint() -> str | None:
    return os.environ.get("HF_ENDPOINT")  # the library reads it only once, when it is imported
