"""The counts of a run, and the digest that two runs share in which the same became of the same rows."""

import hashlib
from collections import Counter

from kith.crm.v1.imports_pb2 import ImportReport
from services.crm.imports.applying import CREATED, FAILED, SKIPPED, UPDATED, Applied


def add(report: ImportReport, applied: Applied) -> None:
    """Count what became of rows. The digest goes on from the one before, so that a run can be resumed."""
    outcomes = applied.outcomes
    counts = Counter(outcome.what for outcome in outcomes)
    report.done_count += len(outcomes)
    report.created_count += counts[CREATED]
    report.updated_count += counts[UPDATED]
    report.skipped_count += counts[SKIPPED]
    report.failed_count += counts[FAILED]
    report.created_company_count += applied.companies
    said = "".join(f"{each.line.number}\x1f{each.what}\x1f{each.problem}\x1e" for each in outcomes)
    report.digest = hashlib.sha256((report.digest + said).encode("utf-8", "surrogatepass")).hexdigest()
