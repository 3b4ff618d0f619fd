"""The process that touches what people have uploaded: it has no secrets, little memory and little time.

`python -m app.services.assets.child WHAT SOURCE FOLDER OPTIONS` writes files into FOLDER and one line of JSON to its
output: `{"found": …}` or `{"refused": "code"}`. Nothing of ours is imported but this folder's `images` and `videos`.
"""

import json
import resource
import signal
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.services.assets.refusal import Refused

OPEN_FILES = 64


def limit(*, memory_bytes: int, cpu_s: int, wall_s: int, file_bytes: int) -> None:
    """Have the system end us beyond these limits, whatever becomes of whoever started us."""
    signal.alarm(wall_s)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    with suppress(ValueError, OSError):  # macOS knows no such limit: there the pixels are what is bounded
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def work(what: str, source: Path, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Do it. Raises `Refused`, and whatever a decoder raises."""
    if what == "video":
        from app.services.assets import videos  # FFmpeg is large, and an image does without

        return videos.examine(source, folder)
    from app.services.assets import images

    if what == "image":
        return images.examine(source, folder, file_format=options["format"], focus=options["focus"])
    return images.render(source, folder, focus=options["focus"])


def main(arguments: list[str]) -> dict[str, Any]:
    """The answer. This is the process's edge: a decoder may raise anything."""
    what, source, folder, told = arguments
    options = json.loads(told)
    limit(**options.pop("limits"))
    warnings.simplefilter("ignore")
    try:
        return {"found": work(what, Path(source), Path(folder), options)}
    except Refused as refused:
        return {"refused": refused.code}
    except MemoryError:
        return {"refused": "needs_too_much_memory"}
    except Exception:
        return {"refused": "broken_file"}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])), flush=True)
