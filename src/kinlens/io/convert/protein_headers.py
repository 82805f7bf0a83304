r"""The header lines of protein FASTA files of NCBI and UniProt: accession, definition, name.

Understood are, with or without ``>``::

    NXL69168.1 FCGBP protein, partial [Alectura lathami]
    XP_015149.2 PREDICTED: LOW QUALITY PROTEIN: zyxin isoform X1 [Gallus gallus]
    WP_000001.1 MULTISPECIES: [acyl-carrier-protein] synthase [Escherichia]
    gi|1234|ref|NP_99.1| titin [Homo sapiens [fixed]]
    NP_1.1 titin [Homo sapiens]^ANP_2.1 titin-like [Pan paniscus]       (^A is \x01)
    sp|P05813|CRBA1_HUMAN Beta-crystallin A3 OS=Homo sapiens OX=9606 GN=CRYBA1 PE=1 SV=4
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ProteinHeader", "parse_header", "parse_headers"]

_FLAG = re.compile(r"^(?:(PREDICTED|LOW QUALITY PROTEIN|MULTISPECIES):\s*|RecName: Full=)")
_GI = re.compile(r"^gi\|\d+\|")
_DATABASE = re.compile(r"^(?:sp|tr|ref|gb|emb|dbj|pdb|pir|prf|tpg|tpe|tpd|gnl|lcl)\|([^|\s]*)\|?")
_UNIPROT = re.compile(r"\s+(OS|OX|GN|PE|SV)=")
# What tells variants of one protein apart; taken off the end again and again.
_VARIANT = re.compile(
    r"""(?: ,?\s*\b(?: partial | precursor | preproprotein
                     | isoform\s+(?:CRA_)?[\w.\-]+ | transcript\s+variant\s+[\w.\-]+ )
          | \s*\(fragments?\) )$""",
    re.IGNORECASE | re.VERBOSE,
)
_ISOFORM_OF = re.compile(r"^isoform\s+\S+\s+of\s+", re.IGNORECASE)
_PARTIAL = re.compile(r"\bpartial\b|\(fragments?\)", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
# Definitions that name no protein.
_UNINFORMATIVE = re.compile(
    r"""^(?:
        (?:conserved\s+)?(?:hypothetical|uncharacteri[sz]ed|unnamed|unknown|predicted)
            (?:\s+conserved)?(?:\s+(?:protein|gene|product|locus)\b.*|\s+LOC\d+.*)?
      | (?:putative\s+)?protein(?:\s+(?:product|LOC\d+))?
      | LOC\d+(?:\s+protein)?
      | .*\bprotein\s+of\s+unknown\s+function\b.*
    )$""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class ProteinHeader:
    """What one header says of one protein.

    Parameters
    ----------
    accession : str
        With its version, such as ``NXL69168.1``; of UniProt the accession, such as ``P05813``.
    definition : str
        As it stands, without organism and UniProt fields.
    organism : str
        "" where the header does not say.
    gene : str
        The gene symbol of UniProt's ``GN=``, else "".
    name : str
        What homologous proteins have in common: the gene symbol where there is one, else the
        definition without PREDICTED, LOW QUALITY PROTEIN, MULTISPECIES, partial, isoform and
        precursor. "" where the definition names no protein.
    is_partial, is_low_quality : bool
        Whether the header says so.
    """

    accession: str
    definition: str
    organism: str
    gene: str
    name: str
    is_partial: bool
    is_low_quality: bool


def parse_headers(line: str) -> tuple[ProteinHeader, ...]:
    r"""Read every protein of a header line, of which ``\x01`` joins several.

    Examples
    --------
    >>> [header.accession for header in parse_headers(">A1.1 titin [Aus]\x01B2.1 titin [Bus]")]
    ['A1.1', 'B2.1']
    """
    return tuple(parse_header(part) for part in line.lstrip(">").split("\x01") if part.strip())


def parse_header(text: str) -> ProteinHeader:
    """Read one protein of a header.

    Examples
    --------
    >>> header = parse_header("NXL69168.1 FCGBP protein, partial [Alectura lathami]")
    >>> header.accession, header.name, header.organism, header.is_partial
    ('NXL69168.1', 'FCGBP protein', 'Alectura lathami', True)
    >>> parse_header("tr|A0A1|A0A1_CHICK Zyxin OS=Gallus gallus OX=9031 GN=ZYX PE=3 SV=1").name
    'ZYX'
    """
    identifier, _blank, rest = text.strip().lstrip(">").partition(" ")
    accession = _accession(identifier)
    rest = rest.strip()
    if _UNIPROT.search(f" {rest}"):
        definition, fields = _uniprot(rest)
        organism, gene = fields.get("OS", ""), fields.get("GN", "")
    else:
        definition, organism = _split_organism(rest)
        gene = ""
    short, flags = _without_flags(definition)
    name = gene if gene and not _is_locus_tag(gene) else _name(short)
    return ProteinHeader(
        accession=accession,
        definition=definition,
        organism=organism,
        gene=gene,
        name=name,
        is_partial=bool(_PARTIAL.search(short)),
        is_low_quality="LOW QUALITY PROTEIN" in flags,
    )


def _accession(identifier: str) -> str:
    identifier = _GI.sub("", identifier)
    match = _DATABASE.match(identifier)
    return match.group(1) if match else identifier.rstrip("|")


def _uniprot(rest: str) -> tuple[str, dict[str, str]]:
    definition, *parts = _UNIPROT.split(f" {rest}")
    return definition.strip(), {
        key: value.strip() for key, value in zip(parts[::2], parts[1::2], strict=True)
    }


def _split_organism(rest: str) -> tuple[str, str]:
    """Split off the last bracket, which may hold brackets, when the text ends with it."""
    if not rest.endswith("]"):
        return rest, ""
    start = rest.rfind("[")
    if start > 0 and "]" not in rest[start:-1]:
        return rest[:start].strip(), rest[start + 1 : -1].strip()
    depth = 0
    for place in range(len(rest) - 1, -1, -1):
        depth += (rest[place] == "]") - (rest[place] == "[")
        if depth == 0:
            # "[acyl-carrier-protein]" alone is a definition, not an organism.
            if place == 0:
                return rest, ""
            return rest[:place].strip(), rest[place + 1 : -1].strip()
    return rest, ""


def _without_flags(definition: str) -> tuple[str, set[str]]:
    flags = set()
    while match := _FLAG.match(definition):
        if match.group(1):
            flags.add(match.group(1))
            definition = definition[match.end() :]
        else:  # "RecName: Full=Zyxin; AltName: Full=Zyxin-2"
            definition = definition[match.end() :].partition(";")[0]
    return definition.strip(), flags


def _name(definition: str) -> str:
    """Strip what tells variants of one protein apart, until nothing more comes off."""
    name = _ISOFORM_OF.sub("", definition)
    while variant := _VARIANT.search(name):
        name = name[: variant.start()].strip(" ,;")
    name = _BLANKS.sub(" ", name)
    return "" if _UNINFORMATIVE.match(name) else name


def _is_locus_tag(gene: str) -> bool:
    """Tell serial numbers of one genome project, such as ``N333_04513``, from gene symbols."""
    return bool(re.fullmatch(r"(?:[A-Za-z0-9]{2,12}_\w*\d{3,}|LOC\d+)", gene))
