"""The alerts in French. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from .model import Rule
from .texts import Said, Texts

FR: Final = Texts(
    rules=MappingProxyType(
        {
            Rule.LICENSE_OVER: Said(
                "une licence de {customer} dépasse ses postes",
                "{whom} dépasse ses postes : {seats_used} utilisés, {allowed} permis.",
                "L’usage de toutes les licences :",
            ),
            Rule.FINDING_CONFIRMED: Said(
                "le constat {finding} est confirmé",
                "Le constat {finding} est confirmé pour {whom} : {what}. Compté : {measure}, permis : {allowed}.",
                "Les preuves :",
            ),
            Rule.RELEASE_ADOPTED: Said(
                "{product} {version} est à {percent}",
                "{product} {version} a atteint {percent} : {installs} installations actives sur {total} ont cette "
                "version ou une plus récente ({share}).",
                "Les versions publiées du produit :",
            ),
            Rule.RELEASE_SLOW: Said(
                "{product} {version} n’est pas encore à {percent}",
                "{product} {version} n’est pas à {percent} un jour après sa publication : {installs} installations "
                "actives sur {total} ont cette version ou une plus récente ({share}).|"
                "{product} {version} n’est pas à {percent} {n} jours après sa publication : {installs} installations "
                "actives sur {total} ont cette version ou une plus récente ({share}).",
                "À qui elle est proposée :",
            ),
            Rule.INSTALLS_CHANGED: Said(
                "installations actives de {product} : {change}",
                "{product} avait {installs} installations actives le {day} : {change}. D’habitude, ce jour de la "
                "semaine en compte {usual} (médiane des quatre semaines précédentes).",
                "Les compteurs à présent ; si callhome était joignable ce jour-là, ses métriques et son journal le "
                "disent :",
            ),
            Rule.SILENCE: Said(
                "aucun ping de {product}",
                "Aucun ping de {product} n’est arrivé depuis une minute. Le dernier est arrivé le {last}.|"
                "Aucun ping de {product} n’est arrivé depuis {n} minutes. Le dernier est arrivé le {last}.",
                "Voir si d’autres arrivent. Si aucun n’arrive, voir si l’adresse que le produit appelle répond de "
                "l’extérieur (GET /livez) :",
            ),
        }
    ),
    any_silence=Said(
        "aucun ping",
        "Aucun ping d’aucun produit n’est arrivé depuis une minute. Le dernier est arrivé le {last}.|"
        "Aucun ping d’aucun produit n’est arrivé depuis {n} minutes. Le dernier est arrivé le {last}.",
        "Voir si l’adresse que les produits appellent répond de l’extérieur (GET /livez), et si des pings arrivent :",
    ),
    more=Said(
        "un autre événement|{n} autres événements",
        "Au même moment, il y a eu un autre événement : {subjects}.|"
        "Au même moment, il y a eu {n} autres événements, tels que : {subjects}.",
        "Tous les événements :",
    ),
    test=Said(
        "un essai",
        "Ceci est un essai : rien ne s’est passé. Les alertes de la règle {rule} arrivent par ce chemin.",
        "Toutes les alertes :",
    ),
    at="{day} à {time} UTC",
    license="la licence …{last4} de {customer} ({product})",
    license_without_end="une licence de {customer} ({product})",
    install="l’installation {install} de {product}",
    offered=" Elle est proposée à {percent} des installations.",
    dropped="{percent} de moins que d’habitude",
    jumped="{percent} de plus que d’habitude",
    from_nothing="d’habitude, il n’y en a aucune",
    console="La console : {url}",
    why="callhome vous le signale par l’alerte « {name} », le {at}.",
)
