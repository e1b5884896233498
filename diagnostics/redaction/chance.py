"""What looks drawn by lot: long strings that are no words, no hex digits and no symbols."""

import re
from typing import Iterator

from diagnostics.redaction import Span

_RUN = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_CHUNK = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_SYMBOL = re.compile(r"_ZN?[A-Z0-9]|_R[NICMXYv]|^_?_pyx_|Float\d")
# Pairs of letters that are common in names of programs; chance gives one in four, names have three in four.
_PAIRS = frozenset(
    re.findall(
        "..",
        "abacadagaiakalamanaparasatauavaybabeblbobucacccechckcocpctdadedidodseaecedeeefeielemeneperesetevexey"
        "fffiflfofrfugagegpgrgshahehihoicidieifigiliminioirisitivkekilaldlelilllolymamemimompmunancndnengnino"
        "nsntnuobofolomonoooporosotouowpapeplpoprptpxpyqurardrerirorsrtrvrysascseshsisksospssstsusytatethtito"
        "trtstutyubudueuiulumunupurusutvaveviwawewiwowrxtye",
    )
)
_HEX = re.compile(r"[0-9a-fA-F_x+/-]+")


def drawn_by_lot(text: str) -> Iterator[Span]:
    """Long strings of letters and digits that are neither words nor hex digits nor symbols."""
    for match in _RUN.finditer(text):
        run = match[0]
        if _SYMBOL.search(run) or _HEX.fullmatch(run):
            continue
        if "/" in run and not run.endswith("="):
            at = match.start()
            pieces = run.split("/")
            if not run.startswith("/") and is_random(run):
                yield (*match.span(), "random")
                continue
            for piece in pieces:
                if is_random(piece):
                    yield at, at + len(piece), "random"
                at += len(piece) + 1
        elif is_random(run):
            yield (*match.span(), "random")


def is_random(word: str) -> bool:
    """Whether a word looks drawn by lot: neither its letters nor its changes of case are those of a name."""
    length = sum(map(str.isalnum, word))
    apart = len(word) - length
    if length < 20 or apart * 8 > length or _HEX.fullmatch(word):
        return False
    lower, upper = any(map(str.islower, word)), any(map(str.isupper, word))
    digits = sum(map(str.isdigit, word))
    known = 0
    for at in range(len(word) - 1):
        known += word[at : at + 2].lower() in _PAIRS
    share = known / (len(word) - 1)
    runs = length / max(len(_CHUNK.findall(word)), 1)
    if lower and upper and digits:
        return share < (0.35 if apart else 0.45) and runs < 2.6
    if lower and upper:
        return length >= 32 and share < 0.42 and runs < 3
    enough = length >= (24 if lower else 32)
    return enough and not apart and share < 0.3 and 0 < 3 * digits < 2 * length
