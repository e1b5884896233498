"""Names whose values are secrets, and values that are none all the same."""

import re

from diagnostics.redaction import MARKER

# Names whose values are secrets. The weak ones are common words too: in prose ("token: end of line") the
# value has to look like a secret.
WEAK = (
    r"tokens?|(?<![a-z])auth(?![a-z])|authentication|creds?(?![a-z])|credentials?|signature"
    r"|(?<![a-z])pass(?![a-z])"
)
STRONG = (
    r"passw(?:or)?ds?|passphrase|passcode|(?:db|user|root|admin)_?pass(?![a-z])|pwd|(?<![a-z])pw(?![a-z])|secrets?"
    r"|api[_.-]?keys?|(?:access|account|private|encryption|signing|master|auth|shared|shared[_.-]?access|service|storage"
    r"|client|license|ssh|deploy|session|secret)[_.-]?keys?(?:[_.-]?id)?|shared[_.-]?access[_.-]?signature|authorization"
    r"|cookies?|session[_.-]?id|jwt(?![a-z])|dsn(?![a-z])|conn(?:ection)?[_.-]?str(?:ing)?"
)
# One of these is in every such name.
STEMS = (
    "pass", "pw", "secret", "key", "signature", "auth", "cookie", "jwt", "dsn", "conn", "token", "cred",
    "sessionid", "session_id", "session-id", "session.id",
)  # fmt: skip
_NAME = re.compile(rf"(?i)(?:{STRONG}|{WEAK})")
_IS_STRONG = re.compile(rf"(?i)(?:{STRONG})")
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


def is_secret_name(name: str) -> bool:
    """Whether what has this name (an option, a variable, a key) is a secret."""
    return _NAME.search(name) is not None and _HARMLESS_NAME.search(name) is None


def is_strong_name(name: str) -> bool:
    """Whether the name is no common word besides."""
    return _IS_STRONG.search(name) is not None


def tells(name: str, value: str) -> bool:
    """Whether a value under a secret's name is one: `True`, a path to a key file and a marker are not."""
    stripped = value.strip()
    if not stripped or _HARMLESS_VALUE.fullmatch(stripped) or MARKER.fullmatch(stripped):
        return False
    is_path = stripped.startswith(("/", "~/", "./"))
    return not (is_path and re.search(r"(?i)(?:key|file|path|dir|credentials|^pwd|^oldpwd)$", name))


def kind_of(name: str) -> str:
    lower = name.lower()
    kinds = {"pass": "password", "pw": "password", "jwt": "token"}
    for word in ("pass", "pw", "token", "jwt", "cookie", "key", "auth"):
        if word in lower:
            return kinds.get(word, word)
    return "secret"
