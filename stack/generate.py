"""Generate Python, type stubs and the descriptor set from `protos/` into `gen/`."""

import shutil
import sys
from importlib import resources
from pathlib import Path
from typing import Final

from google.api import annotations_pb2
from grpc_tools import protoc

ROOT: Final = Path(__file__).resolve().parent.parent
CONTRACT: Final = "contract.binpb"


def generate(protos: Path = ROOT / "protos", out: Path = ROOT / "gen") -> None:
    """Write the generated code; the old is replaced whole, so that a deleted noun leaves nothing behind."""
    fresh = out.with_name(out.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    files = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    arguments = [
        "protoc",
        f"-I{protos}",
        f"-I{resources.files('grpc_tools') / '_proto'}",
        f"-I{_googleapis()}",
        f"--python_out={fresh}",
        f"--grpc_python_out={fresh}",
        *(f"--plugin=protoc-gen-{name}={Path(sys.executable).parent / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")),
        f"--mypy_out=quiet:{fresh}",
        f"--mypy_grpc_out=quiet,async_only:{fresh}",
        f"--descriptor_set_out={fresh / CONTRACT}",
        "--include_imports",
        "--include_source_info",
        *files,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("the contract does not compile; the lines above say where")
    for folder in {path.parent for path in fresh.rglob("*.py")}:
        (folder / "__init__.py").touch()
        (folder / "py.typed").touch()
    shutil.rmtree(out, ignore_errors=True)
    fresh.rename(out)


def _googleapis() -> Path:
    """Return the folder that `google/api/annotations.proto` is imported from: googleapis-common-protos ships its sources."""
    return Path(annotations_pb2.__file__).parents[2]


if __name__ == "__main__":
    generate(*(Path(argument) for argument in sys.argv[1:]))
