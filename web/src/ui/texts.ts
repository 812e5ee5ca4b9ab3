// The words of the page, in the languages that it has; the names of countries are the browser's own.

const EN = {
  title: 'callhome: the map',
  map: 'World map',
  installs: 'Active installs', users: 'Users', launches: 'Launches',
  '30d': 'last 30 days', today: 'today',
  perMillion: '{what} per million inhabitants',
  ofSpan: '{what}, {span}',
  share: 'of all', rank: 'No. {rank}', fewer: 'fewer than {floor}', perMillionShort: 'per million inhabitants',
  large: 'Countries of 100,000 inhabitants or more',
  more: 'and {count} more',
  trendOfWeek: '{what} within a week, last 30 days', trendOfDay: '{what} a day, last 30 days', trendSaid: '{trend}: from {first} to {last}',
  versionsHere: 'Versions here', buildsEverywhere: 'Most used builds, all countries',
  unknown: 'Unknown', allProducts: 'All products', inTurn: 'All products in turn',
  tour: 'Tour', previous: 'Previous stop', next: 'Next stop', pause: 'Pause the tour', goOn: 'Go on with the tour',
  previousKey: 'Previous stop (left arrow)', nextKey: 'Next stop (right arrow)', pauseKey: 'Pause or go on (space)',
  product: 'Product', productKey: 'Product (p)', measure: 'Measure', measureKey: 'Measure (m)',
  perKey: 'Per million inhabitants (i)', per: 'per million', theme: 'Dark or light', themeKey: 'Dark or light (t)',
  legend: 'What the colours mean', notice: 'Sources and licenses',
  connecting: 'Connecting …', again: 'connecting again …', noDatabase: 'the server can’t reach its database',
  old: 'Numbers of {time}: {why}', signedOut: 'Signed out:', signIn: 'sign in again',
  noShapes: 'The map’s shapes can’t be loaded ({why}). Trying again …', noMap: 'The map can’t be drawn here: {why}',
  noSuch: 'No product “{product}”', thereAre: 'There are: {products}',
  noProduct: 'No product yet', noPings: 'No pings yet', terminal: 'In a terminal, with the server’s settings:',
}
export type Text = keyof typeof EN

const DE: Readonly<Record<Text, string>> = {
  title: 'callhome: die Karte',
  map: 'Weltkarte',
  installs: 'Aktive Installationen', users: 'Nutzer', launches: 'Starts',
  '30d': 'letzte 30 Tage', today: 'heute',
  perMillion: '{what} je Million Einwohner',
  ofSpan: '{what}, {span}',
  share: 'von allen', rank: 'Platz {rank}', fewer: 'weniger als {floor}', perMillionShort: 'je Million Einwohner',
  large: 'Länder ab 100.000 Einwohnern',
  more: 'und {count} weitere',
  trendOfWeek: '{what} je Woche, letzte 30 Tage', trendOfDay: '{what} je Tag, letzte 30 Tage', trendSaid: '{trend}: von {first} auf {last}',
  versionsHere: 'Versionen hier', buildsEverywhere: 'Häufigste Builds, alle Länder',
  unknown: 'Unbekannt', allProducts: 'Alle Produkte', inTurn: 'Alle Produkte der Reihe nach',
  tour: 'Rundreise', previous: 'Vorige Station', next: 'Nächste Station', pause: 'Rundreise anhalten', goOn: 'Rundreise fortsetzen',
  previousKey: 'Vorige Station (Pfeil links)', nextKey: 'Nächste Station (Pfeil rechts)', pauseKey: 'Anhalten oder fortsetzen (Leertaste)',
  product: 'Produkt', productKey: 'Produkt (p)', measure: 'Maß', measureKey: 'Maß (m)',
  perKey: 'Je Million Einwohner (i)', per: 'je Million', theme: 'Dunkel oder hell', themeKey: 'Dunkel oder hell (t)',
  legend: 'Was die Farben bedeuten', notice: 'Quellen und Lizenzen',
  connecting: 'Verbinde …', again: 'verbinde wieder …', noDatabase: 'der Server erreicht seine Datenbank nicht',
  old: 'Zahlen von {time}: {why}', signedOut: 'Abgemeldet:', signIn: 'wieder anmelden',
  noShapes: 'Die Umrisse der Karte sind nicht zu laden ({why}). Neuer Versuch …', noMap: 'Die Karte ist hier nicht zu zeichnen: {why}',
  noSuch: 'Kein Produkt „{product}“', thereAre: 'Es gibt: {products}',
  noProduct: 'Noch kein Produkt', noPings: 'Noch keine Pings', terminal: 'In einem Terminal, mit den Einstellungen des Servers:',
}

const FR: Readonly<Record<Text, string>> = {
  title: 'callhome : la carte',
  map: 'Carte du monde',
  installs: 'Installations actives', users: 'Utilisateurs', launches: 'Lancements',
  '30d': '30 derniers jours', today: 'aujourd’hui',
  perMillion: '{what} par million d’habitants',
  ofSpan: '{what}, {span}',
  share: 'du total', rank: 'N° {rank}', fewer: 'moins de {floor}', perMillionShort: 'par million d’habitants',
  large: 'Pays de 100 000 habitants ou plus',
  more: 'et {count} autres',
  trendOfWeek: '{what} par semaine, 30 derniers jours', trendOfDay: '{what} par jour, 30 derniers jours', trendSaid: '{trend} : de {first} à {last}',
  versionsHere: 'Versions dans ce pays', buildsEverywhere: 'Builds les plus utilisés, tous pays',
  unknown: 'Inconnu', allProducts: 'Tous les produits', inTurn: 'Tous les produits tour à tour',
  tour: 'Visite', previous: 'Étape précédente', next: 'Étape suivante', pause: 'Arrêter la visite', goOn: 'Reprendre la visite',
  previousKey: 'Étape précédente (flèche gauche)', nextKey: 'Étape suivante (flèche droite)', pauseKey: 'Arrêter ou reprendre (espace)',
  product: 'Produit', productKey: 'Produit (p)', measure: 'Mesure', measureKey: 'Mesure (m)',
  perKey: 'Par million d’habitants (i)', per: 'par million', theme: 'Sombre ou clair', themeKey: 'Sombre ou clair (t)',
  legend: 'Ce que disent les couleurs', notice: 'Sources et licences',
  connecting: 'Connexion …', again: 'nouvelle connexion …', noDatabase: 'le serveur n’atteint pas sa base de données',
  old: 'Chiffres de {time} : {why}', signedOut: 'Session terminée :', signIn: 'se reconnecter',
  noShapes: 'Les contours de la carte ne se chargent pas ({why}). Nouvel essai …', noMap: 'La carte ne peut pas être dessinée ici : {why}',
  noSuch: 'Pas de produit « {product} »', thereAre: 'Il y a : {products}',
  noProduct: 'Pas encore de produit', noPings: 'Pas encore de pings', terminal: 'Dans un terminal, avec les réglages du serveur :',
}

export const TEXTS: Readonly<Record<string, Readonly<Record<Text, string>>>> = { en: EN, de: DE, fr: FR }

/** The first of these languages (`fr-CA` is `fr`) that the page has words in, else English. */
export function wordsOf(languages: readonly string[]): string {
  return languages.map((language) => language.toLowerCase().split('-')[0] ?? '').find((language) => Object.hasOwn(TEXTS, language)) ?? 'en'
}

/** A text in a language, with what belongs in its braces. */
export function fill(language: string, text: Text, values: Readonly<Record<string, string>> = {}): string {
  return (TEXTS[language] ?? EN)[text].replace(/\{(\w+)\}/g, (_whole, name: string) => values[name] ?? '')
}
