"""`python -m stack.contract_check`: read the generated contract, print what is wrong with it, and exit 1 if anything is."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from stack.contract_check import events, fields, lock, permissions, policies, reasons, routes, shapes
from stack.contract_check.fault import Fault
from stack.contract_check.image import Image
from stack.generate import CONTRACT, ROOT

LOCK: Final = ROOT / "protos" / "contract.lock.json"


def faults(image: Image) -> Iterator[Fault]:
    """Yield everything that is wrong with a contract by itself."""
    for check in (policies.check, permissions.check, shapes.check, routes.check, fields.check, events.check, reasons.check):
        yield from check(image)


def main() -> int:
    """Check the contract in `gen/`, and that it keeps what the committed table promises."""
    options = _options()
    image = Image.read(ROOT / "gen" / CONTRACT)
    old, new = lock.read(LOCK), lock.table(image)
    where = str(LOCK.relative_to(ROOT))
    found = list(lock.broken(where, old, new))
    if options.write and not found:
        lock.write(LOCK, new)
    found += [*lock.unlisted(where, lock.read(LOCK), new), *faults(image)]
    if options.against:
        found += lock.broken(str(options.against), lock.table(Image.read(options.against)), new)
    for fault in sorted(found):
        print(fault, file=sys.stderr)
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stack.contract_check", description=main.__doc__)
    parser.add_argument("--against", type=Path, metavar="IMAGE", help="another image, such as the main branch's, that must still be kept")
    parser.add_argument("--write", action="store_true", help="add what is new to the table; a promise that ends is edited by hand")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
