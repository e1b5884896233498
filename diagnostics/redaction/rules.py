"""Secrets that are known by their own look, or by what stands around them."""

import re
from typing import NamedTuple, Pattern, Tuple


class Rule(NamedTuple):
    """What a secret of one kind looks like: the group `secret` of the pattern, or all of it.

    `needs`: without one of these (lower-case) in the text the pattern cannot match, which is quick to see.
    """

    kind: str
    needs: Tuple[str, ...]
    pattern: Pattern[str]


def _rule(kind: str, needs: str, pattern: str) -> Rule:
    return Rule(kind, tuple(needs.split()), re.compile(pattern))


# fmt: off
RULES = (
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
