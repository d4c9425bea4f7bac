"""The contract of this very tree keeps all the rules and every promise."""

import subprocess
import sys
from pathlib import Path

from stack import error_catalogue
from stack.contract_check import fields, policies
from stack.contract_check.__main__ import faults
from stack.contract_check.image import Image
from stack.generate import CONTRACT, ROOT

IMAGE = ROOT / "gen" / CONTRACT


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "stack.contract_check", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_contract_has_no_fault() -> None:
    assert [str(fault) for fault in faults(Image.read(IMAGE))] == []


def test_the_command_is_silent_about_a_good_contract() -> None:
    done = run("--against", str(IMAGE))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_fails_on_what_another_image_promised(plant, tmp_path: Path) -> None:
    plant()
    done = run("--against", str(tmp_path / "image.binpb"))
    assert done.returncode == 1
    assert "methods: kith.crm.v1.WidgetService/GetWidget was promised and is gone" in done.stderr


def test_the_error_catalogue_is_the_contracts() -> None:
    assert error_catalogue.PAGE.read_text() == error_catalogue.page(Image.read(IMAGE)), "run `python -m stack.error_catalogue`"


def test_no_exemption_outlives_what_it_was_for() -> None:
    image = Image.read(IMAGE)
    named = {name: field for message in image.messages.values() for name, field in message.fields.items()}
    full = {f"{message.full_name}.{name}": field for message in image.messages.values() for name, field in message.fields.items()}
    assert {name for name in fields.NO_SECRETS if not fields.looks_secret((named | full)[name])} == set()
    assert {name for name in fields.NOT_PERSONAL if not fields.looks_personal(full[name])} == set()
    assert policies.UNAUDITED_WRITES.keys() <= {method.full_name for method in image.methods if policies.is_write(method)}
    assert policies.OTHER_READS.keys() <= {method.full_name for method in image.methods if not method.name.startswith(policies.READS)}


def test_to_verify_an_address_is_a_write_and_to_verify_a_trail_is_none() -> None:
    verbs = {method.full_name: policies.is_write(method) for method in Image.read(IMAGE).methods if method.name.startswith("Verify")}
    assert verbs["kith.identity.v1.VerificationService.VerifyEmail"]
    assert [name for name, writes in verbs.items() if not writes] == ["kith.identity.v1.AuditService.VerifyAuditTrail"]
