"""The test contract, compiled as the real one is."""

from importlib import resources
from pathlib import Path

import google.api.annotations_pb2 as annotations
from grpc_tools import protoc

from gateway.contract import Contract

HERE = Path(__file__).parent
PROTOS = Path(__file__).parents[3] / "protos"


def compiled(source: Path, folder: Path) -> Contract:
    """Compile one .proto file with everything it imports."""
    out = folder / f"{source.stem}.binpb"
    arguments = [
        "protoc",
        f"-I{source.parent}",
        f"-I{PROTOS}",
        f"-I{resources.files('grpc_tools') / '_proto'}",
        f"-I{Path(annotations.__file__).parents[2]}",
        f"--descriptor_set_out={out}",
        "--include_imports",
        "--include_source_info",
        source.name,
    ]
    assert protoc.main(arguments) == 0
    return Contract.load(out)
