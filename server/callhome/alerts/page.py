"""The HTML of an alert's mail. It keeps the rules of docs/mail-rules.md, as the summary mails do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from string import Template
from typing import Final

_FONT: Final = "font-family:'Segoe UI','Helvetica Neue',Helvetica,Arial,sans-serif"
_TEXT: Final = f"margin:0 0 16px;{_FONT};font-size:14px;line-height:20px;color:#1f2933"

_PAGE: Final = Template(
    f"""<!DOCTYPE html>
<html lang="$language" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>$subject</title>
<style>:root{{color-scheme:light dark;supported-color-schemes:light dark}}</style>
<style>
@media (prefers-color-scheme:dark){{
.b{{background-color:#15191e!important}}
.p{{background-color:#1d2329!important}}
.t{{color:#e6eaee!important}}
.q{{color:#a5b1bd!important}}
.a{{color:#8cbcf0!important}}
}}
</style>
</head>
<body class="b" style="margin:0;padding:0;background-color:#eef1f4">
<div style="display:none;max-height:0;max-width:0;overflow:hidden;mso-hide:all;font-size:1px;line-height:1px;\
color:#eef1f4">$sentence</div>
<table role="presentation" class="b" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="#eef1f4" \
style="width:100%;background-color:#eef1f4"><tr><td align="center" style="padding:24px 0">
<!--[if mso]><table role="presentation" width="600" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->
<table role="presentation" class="p" width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="#ffffff" \
style="width:100%;max-width:600px;background-color:#ffffff"><tr><td align="left" style="padding:24px">
<p class="t" style="margin:0 0 16px;{_FONT};font-size:18px;line-height:26px;font-weight:bold;color:#1f2933">\
$sentence</p>
<p class="t" style="{_TEXT}">$hint<br>
<span class="t" style="font-family:Consolas,Menlo,monospace;font-size:14px;color:#1f2933">$command</span></p>
$console<p class="q" style="margin:0;{_FONT};font-size:12px;line-height:18px;color:#52606d">$why</p>
</td></tr></table>
<!--[if mso]></td></tr></table><![endif]-->
</td></tr></table>
</body>
</html>
"""
)
_CONSOLE: Final = Template(
    f"""<p class="t" style="{_TEXT}"><a class="a" href="$url" style="color:#0b5cad">$url</a></p>\n"""
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The texts of a page, as they are: nothing in them is HTML."""

    language: str
    subject: str
    sentence: str
    hint: str
    command: str
    why: str
    console_url: str | None


def page(parts: Parts) -> str:
    """Return the HTML."""
    texts = {
        name: escape(getattr(parts, name))
        for name in ("language", "subject", "sentence", "hint", "command", "why")
    }
    console = _CONSOLE.substitute(url=escape(parts.console_url)) if parts.console_url else ""
    return _PAGE.substitute(texts, console=console)
