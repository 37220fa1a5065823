"""What an ELF file says of the code it was built from.

``show`` and ``layout`` tell what is in a file, ``compare`` what changed between two
builds, ``identify`` which step of the series a file was built from. All read a file, and
give values, which :mod:`replay.report.binaries` makes fit to be shown. A file that
cannot be read is an :class:`ElfError`, whatever it holds.
"""

from replay.elf.baseline import baseline, compare_saved, is_baseline
from replay.elf.bundles import BundleComparison, MemberChange, compare_bundles, is_bundle
from replay.elf.changes import (
    Change,
    Comparison,
    DataChange,
    FunctionChange,
    Kind,
    LinkageChange,
    Side,
    TypeChange,
    Variable,
    Whole,
)
from replay.elf.code import Code
from replay.elf.comparison import compare
from replay.elf.contents import (
    DIRTY_TRACKING,
    FunctionInfo,
    Inspection,
    Selection,
    functions,
    select,
    show,
)
from replay.elf.disassembly import CodeRow, Disassembly, FunctionCode, Line, disassemble
from replay.elf.errors import ElfError
from replay.elf.findings import Finding, findings
from replay.elf.identification import Candidate, Identification, Identity, identify, ranges
from replay.elf.image import Section, Symbol
from replay.elf.layouts import Layout, Member, layout
from replay.elf.prototype import Prototype, normalise_prototype, parse_prototype
from replay.elf.sizes import Amount, SizeRow, Sizes, sizes
from replay.elf.suppressing import Suppressed, Suppression, read_suppressions, suppress

__all__ = [
    "DIRTY_TRACKING",
    "Amount",
    "BundleComparison",
    "Candidate",
    "Change",
    "Code",
    "CodeRow",
    "Comparison",
    "DataChange",
    "Disassembly",
    "ElfError",
    "Finding",
    "FunctionChange",
    "FunctionCode",
    "FunctionInfo",
    "Identification",
    "Identity",
    "Inspection",
    "Kind",
    "Layout",
    "Line",
    "LinkageChange",
    "Member",
    "MemberChange",
    "Prototype",
    "Section",
    "Selection",
    "Side",
    "SizeRow",
    "Sizes",
    "Suppressed",
    "Suppression",
    "Symbol",
    "TypeChange",
    "Variable",
    "Whole",
    "baseline",
    "compare",
    "compare_bundles",
    "compare_saved",
    "disassemble",
    "findings",
    "functions",
    "identify",
    "is_baseline",
    "is_bundle",
    "layout",
    "normalise_prototype",
    "parse_prototype",
    "ranges",
    "read_suppressions",
    "select",
    "show",
    "sizes",
    "suppress",
]
