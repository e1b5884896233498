"""Secrets out of everything that is written down: pure functions of text, of commands and of the whole model.

A secret becomes a marker that names its kind, `[redacted:password]`. Rules only point at spans of the text;
the spans are replaced all at once, line breaks kept, until no rule finds any more. So redacting what has been
redacted changes nothing.

What stays readable: user names, hosts, addresses, paths, versions, symbols, hex digits (build ids, commits,
checksums). So a secret made of hex digits is only known by what stands before it.

The text may be hostile: every repetition in a pattern is bounded, or nothing that can fail follows it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from diagnostics.model import Collection

T = TypeVar("T")
Span = tuple[int, int, str]

MAX_PASSES = 20  # two or three are usual

_MARKER = re.compile(r"\[redacted:[a-z-]+\]")
_MASK = re.compile(r"\*+")


class Rule(NamedTuple):
    """What a secret of one kind looks like: the group `secret` of the pattern, or all of it.

    `needs`: without one of these (lower-case) in the text the pattern cannot match, which is quick to see.
    """

    kind: str
    needs: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(kind: str, needs: str, pattern: str) -> Rule:
    return Rule(kind, tuple(needs.split()), re.compile(pattern))


# fmt: off
_RULES = (
    _rule("aws-key", "akia asia agpa aida aroa anpa anva abia acca",
          r"(?<![A-Za-z0-9])(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _rule("github-token", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
          r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"),
    _rule("gitlab-token", "gl",
          r"(?<![A-Za-z0-9])gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt|ffct|oas)-[\w.-]{18,}"),
    _rule("slack-token", "xox xapp-", r"(?:xox[a-z](?:\.xox[a-z])?|xapp)-[\w-]{8,}"),
    _rule("slack-webhook", "hooks.slack.com",
          r"hooks\.slack\.com/(?:services|workflows)/(?P<secret>[\w/-]{8,})"),
    _rule("huggingface-token", "hf_ api_org_", r"(?<![A-Za-z0-9])(?:hf|api_org)_[A-Za-z0-9]{24,}"),
    _rule("api-key", "sk- pk-", r"(?<![A-Za-z0-9_-])[sp]k-(?=[\w-]{0,60}[0-9A-Z])[\w-]{20,}"),
    _rule("api-key", "k_live_ k_test_ whsec_", r"(?:[srp]k_(?:live|test)|whsec)_[A-Za-z0-9]{10,}"),
    _rule("google-key", "aiza ya29. gocspx- 1//0",
          r"AIza[\w-]{30,}|ya29\.[\w.-]{20,}|GOCSPX-[\w-]{20,}|(?<![\w/])1//0[\w-]{30,}"),
    _rule("npm-token", "npm_", r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{30,}"),
    _rule("pypi-token", "pypi-", r"pypi-[\w-]{32,}"),
    _rule("api-key", "nvapi- dapi hvs. hvb. dckr_ do glsa_ shp r8_ sg.",
          r"nvapi-[\w-]{20,}|(?<![A-Za-z0-9])dapi[0-9a-f]{32}|\bhv[sb]\.[\w-]{20,}|dckr_(?:pat|oat)_[\w-]{20,}"
          r"|do[opr]_v1_[0-9a-f]{40,}|glsa_\w{20,}|shp(?:at|ss|ca|pa)_[0-9a-fA-F]{32}"
          r"|(?<!\w)r8_[A-Za-z0-9]{30,}|\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    _rule("jwt", "eyj", r"(?<![A-Za-z0-9])eyJ[\w-]{12,}(?:\.[\w-]*){0,4}={0,2}"),
    _rule("age-key", "age-secret-key-", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
    _rule("password-hash", "$",
          r"\$(?:1|2[abxy]?|5|6|7|y|gy|argon2\w{0,3}|krb5\w{1,10})\$[^\s:\"']{16,}"),
    _rule("url-password", "://",
          r"(?i)[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"'<>]{0,200}:(?!\d{1,5}(?:[/?#,;\s\"']|$))"
          r"(?P<secret>[^\s\"'<>@/?#]{1,300}(?:[@/?#][^\s\"'<>@/?#]{1,300}){0,3})@(?=[\w.\[%-])"),
    _rule("url-user", "://",
          r"(?i)(?:https?|wss?|ftps?|sentry)://(?P<secret>[^\s/:@\"'<>?#]{8,300})@(?=[\w.\[%-])"),
    _rule("url-signature", "= ",
          r"(?i)(?:(?<=[?&])|(?<=\\u0026)|\b(?=x-))(?:x-(?:amz|goog|ms|oss|cos|obs)-(?:signature|credential"
          r"|security-token)|sig|signature|awsaccesskeyid|googleaccessid|ossaccesskeyid|key-pair-id|policy"
          r"|delegation|key|code)=(?P<secret>[^&\s\"'#<>;,)\]}\\]{6,})"),
    _rule("url-signature", "sig=", r"\bsig=(?P<secret>[\w%+/-]{20,}={0,2})"),
    _rule("auth-header", "bearer basic negotiate",
          r"(?i:\b(?:bearer|basic|negotiate))[ \t\n]{1,4}(?=[^\s\"',;]{0,60}[0-9=_])"
          r"(?P<secret>[A-Za-z0-9+/_.~=-]{8,})"),
    _rule("auth-header", "aws4-hmac-sha256", r"AWS4-HMAC-SHA256 (?P<secret>Credential=[^\n\"']{8,})"),
    _rule("password", "login", r"(?i)\blogin\s{1,4}\S{1,100}\s{1,4}password\s{1,4}(?P<secret>\S{1,300})"),
    _rule("api-key", "wandb",
          r"(?i)wandb[ .\n]login(?s:.){0,60}?(?P<secret>(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f]))"),
    _rule("password", "-u --user --proxy-user",
          r"(?<![\w-])(?:-u|--user|--proxy-user)[ \n=]{1,2}[\"']?[^\s:\"'/]{1,100}:"
          r"(?P<secret>(?!\d{1,5}\b)[^\s\"']{1,300})"),
    _rule("password", "sshpass mysql login",
          r"\b(?:(?:sshpass|mysql\w{0,10})\s(?s:.){0,60}?|login(?s:.){0,60}?\s)"
          r"(?<![\w-])-p[ \n]?(?P<secret>(?!\d{1,5}\b)[^\s\"'-][^\s\"']{3,})"),
    _rule("delegation-token", "ident password",
          r"(?i)\b(?:ident|identifier|password)\"?\s{0,2}[:=]\s{0,2}"
          r"(?P<secret>(?:[0-9a-f]{2}[ :]){7,}[0-9a-f]{2})"),
    _rule("secret", "<value>",
          r"(?is)<name>[^<]{0,100}(?:secret|passw|token|credential|key)[^<]{0,100}</name>"
          r"\s{0,20}<value>(?P<secret>[^<]{1,2000})"),
)
# fmt: on

# Names whose values are secrets. The weak ones are common words too: in prose ("token: end of line") the
# value has to look like a secret.
_WEAK = (
    r"tokens?|(?<![a-z])auth(?![a-z])|authentication|creds?(?![a-z])|credentials?|signature"
    r"|(?<![a-z])pass(?![a-z])"
)
_STRONG = (
    r"passw(?:or)?ds?|passphrase|passcode|(?:db|user|root|admin)_?pass(?![a-z])|pwd|(?<![a-z])pw(?![a-z])|secrets?"
    r"|api[_.-]?keys?|(?:access|account|private|encryption|signing|master|auth|shared|shared[_.-]?access|service|storage"
    r"|client|license|ssh|deploy|session|secret)[_.-]?keys?(?:[_.-]?id)?|shared[_.-]?access[_.-]?signature|authorization"
    r"|cookies?|session[_.-]?id|jwt(?![a-z])|dsn(?![a-z])|conn(?:ection)?[_.-]?str(?:ing)?"
)
# One of these is in every such name.
_STEMS = (
    "pass", "pw", "secret", "key", "signature", "auth", "cookie", "jwt", "dsn", "conn", "token", "cred",
    "sessionid", "session_id", "session-id", "session.id",
)  # fmt: skip
_NAME = re.compile(rf"(?i)(?:{_STRONG}|{_WEAK})")
_IS_STRONG = re.compile(rf"(?i)(?:{_STRONG})")
_HARMLESS_NAME = re.compile(
    r"(?i)tokens$|tokens?_?per|tokeni[sz]|detoken|author(?!i[sz])"
    r"|token_?(?:type|ids?$|id_|count|len|num|per|index|idx|emb|class)"
    r"|(?:pad|eos|bos|unk|sep|cls|mask|special|next|last|first|num|new|max|min|image|start|end)_?token"
    r"|signature_?(?:def|key|name)|(?:function|serving|input|output)_?signature|(?:forward|backward|first|second)_?pass"
    r"|^-*(?:no|use|enable|disable|allow|with|has|is|skip|check|require)[_-]"
    r"|[_.-](?:type|method|mode|provider|backend|kind|url|uri|endpoint|plugin|scheme|version|timeout|ttl|expiry|host|port"
    r"|enabled|required|size|count|length)$|\.(?:pyx?|cc|cpp|cxx|c|h|hpp|so|go|rs|java|md|txt|html|o|a)$"
)
_HARMLESS_VALUE = re.compile(
    r"(?i)(?:true|false|none|null|nil|yes|no|on|off|n/a|unset|missing|required|expired|invalid|str|bytes|string|bool|int|0|1"
    r"|\*+|<[^<>]{0,30}>|\.{3}|[({\[\]})]+|\$\{?[A-Za-z_]\w*\}?|\d+(?:\.\d+)+\w{0,8}|amd64|arm64|i386"
    r"|basic|kerberos|simple|peer|trust|ldap|oauth2?|iam|sasl|mtls|ssl|tls)"
)
_SIGN = re.compile(
    rf"(?i)(?:{_STRONG}|{_WEAK})[\w.-]{{0,40}}"
    r"(?P<close>\\{0,3}[\"'][\])]?)?\s{0,3}(?P<sign>=>|:=|={1,2}|:(?!:)|,(?=\s{0,3}[bru]?\\{0,3}[\"']))\s{0,3}"
)
_VALUE = re.compile(
    r"(?P<listed>[(\[]\s{0,3}(?:[bru]?(?:'[^'\n]{0,300}'|\"[^\"\n]{0,300}\")[\s,]{0,4}){1,20}[)\]]?)|"
    r"[bruf]?(?:\\{1,3}[\"'](?P<escaped>(?:[^\"'\\\n]|\\(?![\\\"']))*)"
    r"|\"(?P<double>(?:[^\"\\\n]|\\.)*)|'(?P<single>(?:[^'\\\n]|\\.)*))"
    r"|(?P<bare>(?:(?![&;,|](?:[ ]{0,3}[\w.\"'\[-]{1,60}[ ]{0,2}[=:]|\s|$))[^\s\"'<>\x00-\x1f])+)"
)
_LINE_VALUE = re.compile(r"[bru]?(?:\\?\"(?P<double>[^\"\\\n]*)|\\?'(?P<single>[^'\\\n]*)|(?P<bare>[^\n\"']+))")
_FLAG = re.compile(r"(?<![\w-])(?P<name>--?[A-Za-z][\w.-]{1,80})(?:[ \t]{1,4}|\n)(?![-\s])")
_ARGUMENT = re.compile(r"(?P<name>-{0,2}[A-Za-z_][\w.-]*)(?:==?|:)(?P<value>.+)", re.DOTALL)
_LIKE_SECRET = re.compile(r"(?=[^\n]{0,80}\d)(?=[^\n]{0,80}[A-Za-z]).{8,}")
_COMMANDS = {"command", "argv", "args", "cmdline"}

_PEM_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIV[A-Z ]{0,20}-{0,5}")
_PEM_END = re.compile(r"-----END (?:[A-Z0-9]+ ){0,4}PRIV[A-Z ]{0,20}-{0,5}")
_PEM_REST = re.compile(r"(?:\\+[nr]|[A-Za-z0-9+/= \r])*")
_PEM_LINE = re.compile(r"(?:^|.*[^A-Za-z0-9+/=])[A-Za-z0-9+/]{40,}={0,2}\s*|\s*|.*(?:Proc-Type|DEK-Info): .*")
_PEM_LAST = re.compile(r"[A-Za-z0-9+/]{1,75}={0,2}\s*|.*\s[A-Za-z0-9+/]{1,75}={1,2}\s*|.*\s[A-Za-z0-9+/]{20,75}\s*")
_PEM_LENGTH, _PEM_LINES = 20_000, 120

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


def redact_text(text: str) -> str:
    """`text` with a marker in place of every secret; as many lines as before."""
    return _settle(text, _MARKER, lambda kind, _: f"[redacted:{kind}]")


def redact_binary(data: bytes) -> bytes:
    """`data` of the same length, with `*` in place of every secret in what is printable in it."""
    return re.sub(rb"[\t\n\r\x20-\x7e\x80-\xff]{6,}", lambda run: _mask(run[0]), data)


def redact_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Like `redact_text` for a text in lines, which may break a secret in two."""
    if not lines:
        return ()
    rest = redact_text("\n".join(lines)).split("\n")
    redacted, at = [], 0
    for line in lines:
        count = line.count("\n") + 1
        redacted.append("\n".join(rest[at : at + count]))
        at += count
    return tuple(redacted)


def redact_command(argv: Sequence[str]) -> tuple[str, ...]:
    """A command line; the value of an option is redacted whole, whatever is in it."""
    before: tuple[str, ...] = ()
    after = tuple(argv)
    for _ in range(MAX_PASSES):
        if before == after:
            break
        before = after
        options = []
        named = ""
        for argument in before:
            assigned = _ARGUMENT.fullmatch(argument)
            if named and argument and (not argument.startswith("--") or "=" in argument):
                options.append(_value(named, argument))
                named = ""
                continue
            is_option = re.fullmatch(r"--?[A-Za-z][\w.-]*", argument) and is_secret_name(argument)
            named = argument if is_option else ""
            if assigned and is_secret_name(assigned["name"]):
                head = argument[: assigned.start("value")]
                options.append(head + _value(assigned["name"], assigned["value"]))
            else:
                options.append(argument)
        after = redact_lines(options)
    return after


def redact_environ(environ: Mapping[str, str]) -> dict[str, str]:
    return {redact_text(name): _value(name, value) for name, value in environ.items()}


def redact_collection(collection: Collection) -> Collection:
    """The collection with every string in it redacted, wherever it is."""
    seen: dict[str, str] = {}

    def text(value: Any, name: str) -> Any:
        if not isinstance(value, str):
            return value
        if is_secret_name(name):
            return _value(name, value)
        if value not in seen:
            seen[value] = redact_text(value)
        return seen[value]

    def texts(values: Sequence[str], name: str) -> tuple[str, ...]:
        if is_secret_name(name):
            return tuple(_value(name, value) for value in values)
        return redact_command(values) if name in _COMMANDS else redact_lines(values)

    return rebuild(collection, text, texts)


def rebuild(
    value: T,
    leaf: Callable[[Any, str], Any],
    texts: Callable[[Sequence[str], str], Sequence[str]] | None = None,
    name: str = "",
) -> T:
    """`value` with every leaf in it replaced by `leaf(it, name of the field or key it is in)`.

    `texts` gets sequences of strings as a whole.
    """
    return _rebuild(value, leaf, texts, name)  # type: ignore[no-any-return]


def is_secret_name(name: str) -> bool:
    """Whether what has this name (an option, a variable, a key) is a secret."""
    return _NAME.search(name) is not None and _HARMLESS_NAME.search(name) is None


def _rebuild(value: Any, leaf: Callable[[Any, str], Any], texts: Any, name: str) -> Any:
    if isinstance(value, enum.Enum):
        return value
    if isinstance(value, msgspec.Struct):
        changed = {}
        for field in value.__struct_fields__:
            old = getattr(value, field)
            new = _rebuild(old, leaf, texts, field)
            if new is not old:
                changed[field] = new
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, dict):
        return {leaf(key, ""): _rebuild(item, leaf, texts, str(key)) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        if texts and value and all(type(item) is str for item in value):
            return type(value)(texts(value, name))
        return type(value)([_rebuild(item, leaf, texts, name) for item in value])
    return leaf(value, name)


def _value(name: str, value: str) -> str:
    if not is_secret_name(name) or not _tells(name, value):
        return redact_text(value)
    return f"[redacted:{_kind(name)}]"


def _tells(name: str, value: str) -> bool:
    """Whether a value under a secret's name is one: `True`, a path to a key file and a marker are not."""
    stripped = value.strip()
    if not stripped or _HARMLESS_VALUE.fullmatch(stripped) or _MARKER.fullmatch(stripped):
        return False
    is_path = stripped.startswith(("/", "~/", "./"))
    return not (is_path and re.search(r"(?i)(?:key|file|path|dir|credentials|^pwd|^oldpwd)$", name))


def _kind(name: str) -> str:
    lower = name.lower()
    kinds = {"pass": "password", "pw": "password", "jwt": "token"}
    for word in ("pass", "pw", "token", "jwt", "cookie", "key", "auth"):
        if word in lower:
            return kinds.get(word, word)
    return "secret"


def _mask(run: bytes) -> bytes:
    text = run.decode("latin-1")
    return _settle(text, _MASK, lambda _, secret: "*" * len(secret)).encode("latin-1")


def _settle(text: str, done: re.Pattern[str], cover: Callable[[str, str], str]) -> str:
    """Cover every secret in the text, again and again until none is found; what is `done` is never one."""
    for _ in range(MAX_PASSES):
        # Last the vaguest rule: a marker should name the kind where it can.
        spans = _merged(text, _find(text), done) or _merged(text, _random(text), done)
        if not spans:
            return text
        pieces, at = [], 0
        for start, end, kind in spans:
            lines = text[start:end].split("\n")
            pieces.append(text[at:start])
            pieces.append("\n".join(cover(kind, line) if line.strip() else line for line in lines))
            at = end
        text = "".join(pieces) + text[at:]
    return "\n".join(cover("text", line) if line else line for line in text.split("\n"))


def _merged(text: str, spans: Iterable[Span], done: re.Pattern[str]) -> list[Span]:
    """The spans in order and apart, whole markers only, without those that have nothing left to cover."""
    merged: list[list[Any]] = []
    for start, end, kind in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start, end, kind])
    if not merged:
        return []
    covered = [match.span() for match in done.finditer(text)]
    result: list[list[Any]] = []
    at = 0
    for start, end, kind in merged:
        while at < len(covered) and covered[at][1] <= start:
            at += 1
        inside = at
        while inside < len(covered) and covered[inside][0] < end:
            start, end = min(start, covered[inside][0]), max(end, covered[inside][1])
            inside += 1
        if result and start < result[-1][1]:
            result[-1][1] = max(end, result[-1][1])
        else:
            result.append([start, end, kind])
    return [(start, end, kind) for start, end, kind in result if done.sub("", text[start:end]).strip()]


def _find(text: str) -> Iterator[Span]:
    lower = text.lower()
    for kind, needs, pattern in _RULES:
        if any(need in lower for need in needs):
            group = "secret" if "secret" in pattern.groupindex else 0
            for match in pattern.finditer(text):
                yield (*match.span(group), kind)
    if "=" in text or ":" in text or "," in text:
        yield from _assigned(text, lower)
    if "-" in text:
        yield from _flags(text)
    if "-----" in text:
        yield from _private_keys(text)


def _assigned(text: str, lower: str) -> Iterator[Span]:
    """`password=x`, `"token": "x"`, `X-Api-Key: x`, `['--password', 'x']`."""
    taken = 0
    parts = _lines_with(_STEMS, text, lower)
    for match in (match for start, end in parts for match in _SIGN.finditer(text, start, end)):
        start = match.start()
        if start < taken or (match["sign"] == "==" and text[match.end() : match.end() + 1].isdigit()):
            continue
        first = max(start - 60, 0)
        while start > first and (text[start - 1].isalnum() or text[start - 1] in "_.-"):
            start -= 1
        name = text[start : match.start("sign")].rstrip("\\\"'])\n\t ")
        if not is_secret_name(name):
            continue
        if match["sign"] == "," and not (name.startswith("-") or (start > 1 and text[start - 2] == "(")):
            continue
        is_line = re.search(r"(?i)(?:authorization|cookie)$", name) is not None
        value = (_LINE_VALUE if is_line else _VALUE).match(text, match.end())
        group = value.lastgroup if value else None
        if not value or not group:
            continue
        first, last = value.span(group)
        if group == "bare":
            while last > first and text[last - 1] in ",;.)]}\\":
                last -= 1
        secret = text[first:last]
        if not secret or not _tells(name, secret):
            continue
        is_prose = group == "bare" and not match["close"] and match["sign"] == ":" != text[match.end() - 1]
        if is_prose and not _IS_STRONG.search(name) and not _LIKE_SECRET.match(secret):
            continue
        yield first, last, _kind(name)
        taken = last


def _lines_with(stems: tuple[str, ...], text: str, lower: str) -> Iterator[tuple[int, int]]:
    """Lines in which one of the stems is, each with a bit of the next one; all of a text that is short."""
    if len(text) < 200 or len(lower) != len(text):  # a few letters have a longer lower case
        if any(stem in lower for stem in stems):
            yield 0, len(text)
        return
    at = 0
    for line in lower.split("\n"):
        if any(stem in line for stem in stems):
            yield at, at + len(line) + 60
        at += len(line) + 1


def _flags(text: str) -> Iterator[Span]:
    """`--password x`"""
    for match in _FLAG.finditer(text):
        value = _VALUE.match(text, match.end()) if is_secret_name(match["name"]) else None
        if value and value.lastgroup and _tells(match["name"], value[value.lastgroup]):
            yield (*value.span(value.lastgroup), _kind(match["name"]))


def _private_keys(text: str) -> Iterator[Span]:
    """PEM blocks, also where a log has only the beginning or the end of one, or a prefix on every line."""
    kind = "private-key"
    until = 0
    for begin in _PEM_BEGIN.finditer(text):
        if begin.start() < until:
            continue
        end = _PEM_END.search(text, begin.end(), begin.end() + _PEM_LENGTH)
        if end:
            until = end.end()
        else:
            rest = _PEM_REST.match(text, begin.end())
            until = rest.end() if rest else begin.end()
            for start, stop in _lines_after(text, until):
                whole = _PEM_LINE.fullmatch(text, start, stop)
                if whole or _PEM_LAST.fullmatch(text, start, stop):
                    until = stop
                if not whole:
                    break
        yield begin.start(), until, kind
    for end in _PEM_END.finditer(text):
        start = end.start()
        if text.rfind("-----BEGIN", 0, start) > text.rfind("-----END", 0, start):
            continue
        first = text.rfind("\n", 0, start) + 1
        inline = re.search(r"(?:\\+[nr]|[A-Za-z0-9+/=])*\Z", text[max(first, start - _PEM_LENGTH) : start])
        start -= len(inline[0]) if inline else 0
        for _ in range(_PEM_LINES):
            stop = first - 1
            before = text.rfind("\n", 0, max(stop, 0)) + 1
            is_last = first > text.rfind("\n", 0, end.start()) and _PEM_LAST.fullmatch(text, before, stop)
            if stop <= 0 or not (is_last or _PEM_LINE.fullmatch(text, before, stop)):
                break
            start = first = before
        yield start, end.end(), kind


def _lines_after(text: str, at: int) -> Iterator[tuple[int, int]]:
    for _ in range(_PEM_LINES):
        start = text.find("\n", at) + 1
        if not start:
            return
        at = text.find("\n", start)
        at = len(text) if at < 0 else at
        yield start, at


def _random(text: str) -> Iterator[Span]:
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
