"""Reading and writing trees in the Newick format, with errors that say where the file is wrong.

The grammar is read by a small tokenizer without recursion (`docs/decisions/newick-reader.md` says
why). What must hold for any tree (unique tip names, sound lengths) is checked by `records.tree`.
"""

from __future__ import annotations

import re
from pathlib import Path

from kinlens.atomic import write_text
from kinlens.errors import InputError
from kinlens.records.tree import Tree

__all__ = ["format_newick", "parse_newick", "read_newick", "write_newick"]

# What a file that is not Newick starts with (lower case), what it is, and what to do about it.
_STRANGERS = (
    ("#nexus", "a NEXUS file", "Export it as Newick; in R: ape::write.tree(ape::read.nexus(...))."),
    ("<!doctype html", "a web page", "Download the raw file, not the page that shows it."),
    ("<html", "a web page", "Download the raw file, not the page that shows it."),
    ("<", "XML (phyloXML, NeXML or a web page)", "Export the tree as Newick."),
    (">", "a FASTA file", "Sequences belong in sequences.fasta."),
    ("{", "JSON", "Export the tree as Newick."),
    ("@", "a FASTQ file", "A tree file starts with '('."),
)

_BLANKED = "\0"  # Stands where a comment stood.
_SKIP = r"[\s\0]*"
# A quote opens a label only at its start: O'Brien is a plain label.
_QUOTED = r"""'[^']*(?:''[^']*)*'|"[^"]*(?:""[^"]*)*\""""
_LABEL = rf"{_QUOTED}|[^\s(),:;\0'\"][^(),:;\0]*"
# What may be said about a node: its label and the length of the branch above it.
_DESCRIPTION = rf"{_SKIP}({_LABEL})?{_SKIP}(:{_SKIP}[^\s(),:;\0]*)?{_SKIP}"
_FIRST = re.compile(rf"(){_DESCRIPTION}")
_STEP = re.compile(rf"([(,)]){_DESCRIPTION}")
_COMMENT_EDGE = re.compile(rf"(?:(?<=[\s(),:;\[\]])|^)(?:{_QUOTED})|[\[\]]")
_WHITESPACE = re.compile(r"\s")
_NEEDS_QUOTES = re.compile(r"[\s(),:;\[\]'\"\0]")


def read_newick(path: str | Path) -> Tree:
    """Read the one tree of a Newick file.

    Parameters
    ----------
    path : str or pathlib.Path
        UTF-8 text, with or without a byte-order mark. See `parse_newick` for what it may hold.

    Raises
    ------
    InputError
        When the file cannot be read or holds anything but one sound tree.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=path) from error
    if content.startswith(b"\x1f\x8b"):
        raise InputError(
            "a tree in Newick format was wanted; this is a gzip file",
            where=path,
            remedy="Unpack it first.",
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"the text is not UTF-8 (byte {error.start + 1:,})",
            where=path,
            remedy="Save it again as UTF-8.",
        ) from error
    return parse_newick(text, where=path)


def parse_newick(text: str, *, where: str | Path = "Newick text") -> Tree:
    """Turn Newick text into a tree.

    Parameters
    ----------
    text : str
        One tree, ended by a semicolon. Quoted labels (with doubled quotes inside), nested
        ``[comments]``, polytomies, nodes with one child and line breaks are understood. Spaces
        in labels become underscores; underscores stay. Labels of internal nodes, support values
        among them, are kept as they stand. A branch above the root is left out.
    where : str or pathlib.Path
        What to name in an error, usually the file.

    Returns
    -------
    Tree
        Nodes in the order of the text. When no branch has a length, ``has_lengths`` is False.

    Raises
    ------
    InputError
        For anything that is not Newick, with line and column; for two trees in one text, since
        choosing one silently would hide the choice; for branches of which only some have
        lengths; for unnamed or repeated tips and for lengths that are negative or not finite.

    Examples
    --------
    >>> tree = parse_newick("((Papilio machaon:1,Papilio_xuthus:1)0.98:2,'O''Brien':3);")
    >>> tree.tip_names
    ('Papilio_machaon', 'Papilio_xuthus', "O'Brien")
    >>> tree.names[1]
    '0.98'
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    _refuse_strangers(text, where)
    return _Reader(text, where).tree()


def write_newick(tree: Tree, path: str | Path) -> None:
    """Write `tree` to `path` atomically, as `format_newick` words it, with a final line feed."""
    write_text(path, format_newick(tree) + "\n")


def format_newick(tree: Tree) -> str:
    """Word a tree as Newick on one line; `parse_newick` gives the same tree back.

    Lengths are written with as many digits as they need to be read back exactly, and not at all
    for a tree without lengths. Labels are quoted where they must be; whitespace in a label,
    which no tree that was read has, comes back as underscores.

    Examples
    --------
    >>> format_newick(Tree.from_parents([-1, 0, 0], [0, 1, 0.25], ["", "a", "b"]))
    '(a:1,b:0.25);'
    """
    parent, stop, length = tree.parent.tolist(), tree.stop.tolist(), tree.length.tolist()

    def described(node: int) -> str:
        label = _quoted(tree.names[node])
        return f"{label}:{_shortest(length[node])}" if node and tree.has_lengths else label

    pieces: list[str] = []
    open_nodes: list[int] = []
    for node in range(tree.n_nodes):
        if node and parent[node] != node - 1:
            pieces.append(",")
        if stop[node] > node + 1:
            pieces.append("(")
            open_nodes.append(node)
            continue
        pieces.append(described(node))
        while open_nodes and stop[open_nodes[-1]] == node + 1:
            pieces.append(")" + described(open_nodes.pop()))
    return "".join(pieces) + ";"


class _Reader:
    """The nodes read so far, and the words for what is wrong with the text and where."""

    def __init__(self, text: str, where: str | Path) -> None:
        self.where = where
        self.text = text
        self.text = self._without_comments()  # Every other character keeps its place.
        self.parent = [-1]
        self.length: list[float | None] = [None]
        self.names = [""]
        self.places = [0]

    def tree(self) -> Tree:
        """Read the text to its end and build the tree."""
        self._refuse_more(self._read_nodes())
        self._refuse_unnamed_tips()
        return Tree.from_parents(
            self.parent, self._complete_lengths(), self.names, where=self.where
        )

    def _read_nodes(self) -> int:
        """Read up to the semicolon and return the place after it."""
        parent, places = self.parent, self.places
        open_nodes: list[int] = []
        node, edge = 0, ""
        match = _FIRST.match(self.text)
        while match:
            place = match.end()
            step, label, length = match.groups()
            if step == "(":
                if edge == ")" or self.names[node] or self.length[node] is not None:
                    raise self._error("a comma is missing before '('", match.start())
                open_nodes.append(node)
            elif step and not open_nodes:
                raise self._error(f"{step!r} without its '('", match.start())
            if step == ")":
                node = open_nodes.pop()
            elif step:
                node = len(parent)
                parent.append(open_nodes[-1])
                places.append(match.start() + 1)
                self.names.append("")
                self.length.append(None)
            if label is not None:
                self.names[node] = _plain_label(label)
            if length is not None:
                self.length[node] = self._number(length[1:], match.start(3))
            edge = step
            match = _STEP.match(self.text, place)
        return self._end_of_tree(place, len(open_nodes))

    def _end_of_tree(self, place: int, n_open: int) -> int:
        """Return the place after the semicolon, or say why the tree stops before it."""
        found = self.text[place : place + 1]
        if found not in ("", ";"):
            raise self._error(
                {
                    ":": "a second length for one branch",
                    "'": "a quoted label that never ends, or a quote within a label",
                    '"': "a quoted label that never ends, or a quote within a label",
                }.get(found, f"a comma is missing before {self._word(place)!r}"),
                place,
            )
        if n_open:
            raise self._error(
                f"{n_open:,} '(' never closed",
                place,
                remedy="Was the file cut short?",
            )
        if not found:
            raise self._error("the ';' that ends a tree is missing", place)
        return place + 1

    def _number(self, token: str, place: int) -> float:
        try:
            if "_" in token:  # Python would read 1_0 as 10.
                raise ValueError
            return float(token.replace(_BLANKED, ""))
        except ValueError:
            raise self._error(
                f"a branch length must be a number, not {token.strip()[:40]!r}", place
            ) from None

    def _without_comments(self) -> str:
        """Blank everything in [brackets], which may nest, leaving every place as it is."""
        if "[" not in self.text and "]" not in self.text:
            return self.text
        pieces: list[str] = []
        done, start, depth = 0, 0, 0
        for match in _COMMENT_EDGE.finditer(self.text):
            edge, place = match.group(), match.start()
            if edge == "[":
                if depth == 0:
                    start = place
                    pieces.append(self.text[done:place])
                depth += 1
            elif edge == "]":
                if depth == 0:
                    raise self._error("']' without its '['", place)
                depth -= 1
                if depth == 0:
                    done = match.end()
                    pieces.append(_BLANKED * (done - start))
        if depth:
            raise self._error("a comment that never ends", start)
        return "".join([*pieces, self.text[done:]])

    def _refuse_unnamed_tips(self) -> None:
        has_child = [False] * len(self.parent)
        for above in self.parent[1:]:
            has_child[above] = True
        unnamed = [
            self._place(place)
            for place, name, inner in zip(self.places, self.names, has_child, strict=True)
            if not (name or inner)
        ]
        if unnamed:
            raise InputError(
                "every tip of a tree needs a name", where=self.where, offenders=unnamed
            )

    def _refuse_more(self, end: int) -> None:
        rest = self.text[end:].replace(_BLANKED, "")
        if rest.strip():
            n_more = len(re.findall(";", rest))
            raise InputError(
                f"one tree was wanted; after it come {n_more:,} more"
                if n_more
                else f"one tree was wanted; after it comes {rest.strip()[:40]!r}",
                where=self.where,
                remedy="Keep the tree you mean, for example a consensus, in a file of its own.",
            )

    def _complete_lengths(self) -> list[float] | None:
        """Return all lengths, or None when no branch has one (that of the root is ignored)."""
        known = [0.0, *(0.0 if value is None else value for value in self.length[1:])]
        missing = [i for i, value in enumerate(self.length) if i and value is None]
        if not missing:
            return known
        if len(missing) == len(self.length) - 1:
            return None
        raise InputError(
            f"{len(missing):,} of {len(self.length) - 1:,} branches have no length",
            where=self.where,
            offenders=[
                self.names[i] or f"the clade at {self._place(self.places[i])}" for i in missing
            ],
            remedy="Give every branch a length, or none.",
        )

    def _place(self, place: int) -> str:
        line = self.text.count("\n", 0, place) + 1
        return f"line {line:,}, column {place - self.text.rfind(chr(10), 0, place):,}"

    def _word(self, place: int) -> str:
        return re.split(r"[(),:;\0]", self.text[place : place + 40])[0].strip()

    def _error(self, problem: str, place: int, remedy: str | None = None) -> InputError:
        return InputError(f"{problem} ({self._place(place)})", where=self.where, remedy=remedy)


def _refuse_strangers(text: str, where: str | Path) -> None:
    start = text[:200].lstrip().lower()
    if not text.strip():
        raise InputError("a tree in Newick format was wanted; the file is empty", where=where)
    for beginning, what, remedy in _STRANGERS:
        if start.startswith(beginning):
            raise InputError(
                f"a tree in Newick format was wanted; this is {what}", where=where, remedy=remedy
            )
    if _BLANKED in text:
        raise InputError("a tree in Newick format was wanted; this is a binary file", where=where)


def _plain_label(label: str) -> str:
    """Take the quotes off a label and turn its whitespace into underscores."""
    quote = label[0]
    if quote in "'\"":
        label = label[1:-1].replace(quote * 2, quote)
    return _WHITESPACE.sub("_", label.rstrip() if quote not in "'\"" else label)


def _quoted(label: str) -> str:
    return "'" + label.replace("'", "''") + "'" if _NEEDS_QUOTES.search(label) else label


def _shortest(length: float) -> str:
    return repr(length).removesuffix(".0")
