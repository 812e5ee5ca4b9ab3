"""What the pages of signing in look like: English and French, light and dark, no script. Pure."""

from __future__ import annotations

import hashlib
import html
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

_STYLE: Final = (
    ":root{color-scheme:light dark;--edge:#767f8a;--ink:#16202b;--paper:#f5f7f9;--card:#fff;--accent:#0b5cad;"
    "--on:#fff;--bad:#a3141c}"
    "@media(prefers-color-scheme:dark){:root{--edge:#7d8894;--ink:#e8edf2;--paper:#0d141b;--card:#16202b;"
    "--accent:#7db8f5;--on:#0d141b;--bad:#ff9c9c}}"
    "*{box-sizing:border-box}"
    "body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;background:var(--paper);"
    "color:var(--ink);font:1rem/1.5 system-ui,sans-serif}"
    "main{width:100%;max-width:24rem;background:var(--card);border-radius:.75rem;padding:2rem 1.5rem;"
    "box-shadow:0 1px 3px #0003}"
    "h1{margin:0 0 1.25rem;font-size:1.5rem;line-height:1.2}"
    "label{display:block;margin:1rem 0 .25rem;font-weight:600}"
    "input{width:100%;font:inherit;padding:.6rem .75rem;border:1px solid var(--edge);border-radius:.4rem;"
    "background:var(--paper);color:inherit}"
    "button{width:100%;margin-top:1.5rem;font:inherit;font-weight:600;padding:.7rem 1rem;border:0;"
    "border-radius:.4rem;background:var(--accent);color:var(--on);cursor:pointer}"
    ":focus-visible{outline:3px solid var(--accent);outline-offset:2px}"
    "[role=alert]{margin:0;padding:.6rem .75rem;border-left:4px solid var(--bad);color:var(--bad);"
    "background:var(--paper)}"
    "a{color:var(--accent)}p{overflow-wrap:anywhere}"
)
# Forms that lead here, one style whose hash is named; nothing else.
POLICY: Final = (
    "default-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
    # With no-referrer, as elsewhere, a browser would send `Origin: null` with the form.
    "Referrer-Policy": "same-origin",
}


class Texts(NamedTuple):
    """What the pages say in one language."""

    title: str
    name: str
    password: str
    sign_in: str
    wrong: str
    slow_down: str
    later: str
    foreign: str
    account: str
    signed_in: str
    sign_out: str
    map: str


TEXTS: Final[Mapping[str, Texts]] = {
    "en": Texts(
        title="Sign in",
        name="Name",
        password="Password",
        sign_in="Sign in",
        wrong="That is not the name and password of an account.",
        slow_down="That was tried too often. Try again in {seconds} s.",
        later="Nobody can sign in now. Try again in a moment.",
        foreign="That came from another website. Sign in here.",
        account="Account",
        signed_in="Signed in as {name}, with the role {role}.",
        sign_out="Sign out",
        map="The map",
    ),
    "fr": Texts(
        title="Se connecter",
        name="Nom",
        password="Mot de passe",
        sign_in="Se connecter",
        wrong="Ce nom et ce mot de passe ne sont pas ceux d’un compte.",
        slow_down="Trop d’essais. Réessayez dans {seconds} s.",
        later="Impossible de se connecter pour le moment. Réessayez dans un instant.",
        foreign="Cette demande venait d’un autre site. Connectez-vous ici.",
        account="Compte",
        signed_in="Connecté en tant que {name}, avec le rôle {role}.",
        sign_out="Se déconnecter",
        map="La carte",
    ),
}


@dataclass(frozen=True, slots=True)
class Form:
    """What the form to sign in shows: where one gets to, the name that was typed, and what went wrong."""

    next: str
    name: str = ""
    alert: str = ""


def sign_in(language: str, form: Form) -> str:
    """Return the page with the form."""
    texts = TEXTS[language]
    alert = f'<p role="alert" id="alert">{html.escape(form.alert)}</p>' if form.alert else ""
    said = ' aria-describedby="alert"' if form.alert else ""
    # Whoever has typed the name already goes on with the password.
    first, second = ("", " autofocus") if form.name else (" autofocus", "")
    body = (
        f'{alert}<form method="post" action="/sign-in">'
        f'<input type="hidden" name="next" value="{html.escape(form.next)}">'
        f'<label for="name">{html.escape(texts.name)}</label>'
        f'<input id="name" name="name" value="{html.escape(form.name)}" autocomplete="username" autocapitalize="none" '
        f'spellcheck="false" maxlength="64" required{said}{first}>'
        f'<label for="password">{html.escape(texts.password)}</label>'
        f'<input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" '
        f"required{said}{second}>"
        f"<button>{html.escape(texts.sign_in)}</button></form>"
    )
    return _page(language, texts.title, body)


def account(language: str, name: str, role: str) -> str:
    """Return the page that says who is signed in, with a button to sign out."""
    texts = TEXTS[language]
    body = (
        f"<p>{html.escape(texts.signed_in.format(name=name, role=role))}</p>"
        f'<p><a href="/map">{html.escape(texts.map)}</a></p>'
        f'<form method="post" action="/sign-out"><button>{html.escape(texts.sign_out)}</button></form>'
    )
    return _page(language, texts.account, body)


def _page(language: str, title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{html.escape(title)} · callhome</title>'
        f"<style>{_STYLE}</style><main><h1>{html.escape(title)}</h1>{body}</main></html>"
    )
