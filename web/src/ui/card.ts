// What is told of the country that the tour is at, and of a product as a whole.

import type { Counts } from '../live/messages.ts'
import type { Ranked, Total } from '../live/ranking.ts'
import type { Build } from '../live/state.ts'
import type { Trend } from '../live/trends.ts'
import { countOf, type Measure, WHATS } from '../measure.ts'
import { byId, make, setText, showIn } from './dom.ts'
import { sparkline } from './sparkline.ts'
import { countryName, number, percent, rate, say } from './words.ts'

/** A country at a stop of the tour; `place` is undefined where nothing is counted. */
export interface Facts {
  readonly country: string
  readonly place: Ranked | undefined
  readonly counts: Counts
  readonly total: Total
  readonly measure: Measure
  readonly trend: Trend | null
  readonly builds: readonly Build[]
  readonly floor: number | null
}

type Figure = readonly [what: string, value: string]

const figures = (rows: readonly Figure[]): HTMLElement[] =>
  rows.map(([what, value]) => make('div', '', make('dt', '', what), make('dd', '', value)))

/** Show the product's name and its totals. */
export function showHead(name: string, totals: readonly Total[], span: Measure['span']): void {
  setText(byId('product'), name)
  setText(byId('span'), say(span))
  // Of what guests are not told there may be some more.
  const rows = WHATS.map((what, place): Figure => [say(what), `${number(totals[place]?.sum ?? 0)}${totals[place]?.more ? '+' : ''}`])
  showIn(byId('totals'), rows, () => figures(rows))
}

/** Show a country, or nothing. */
export function showCard(facts: Facts | null): void {
  const card = byId('card')
  card.hidden = facts === null
  if (facts === null) return
  card.dataset['country'] = facts.country
  showIn(card, facts, () => contentOf(facts))
}

function contentOf(facts: Facts): Node[] {
  const { country, place, counts, measure, trend, builds, floor } = facts
  const title = make('h2', '', countryName(country))
  title.id = 'card-title'
  if (place !== undefined && place.rank > 0) title.append(' ', make('span', 'rank', say('rank', { rank: number(place.rank) })))
  const told = countOf(counts, measure.what, measure.span)
  if (told === null) return [title, make('p', 'few', `${say(measure.what)}: ${say('fewer', { floor: number(floor ?? 0) })}`)]
  const parts: Node[] = [title, make('dl', 'figures', ...figures(figuresOf(facts, told)))]
  // Nothing but zeros where installs are live is not yet counted.
  if (trend !== null && trend.days.some((count) => count !== null && count > 0)) parts.push(...trendOf(trend, measure))
  const own = trend !== null && trend.versions.length > 0
  const shown = own ? trend.versions : builds
  if (shown.length > 0) parts.push(make('h3', '', say(own ? 'versionsHere' : 'buildsEverywhere')), make('ul', '', ...shown.map((build) => rowOf(build, shown))))
  return parts
}

function figuresOf({ place, counts, total, measure }: Facts, told: number): Figure[] {
  const rest = WHATS.filter((what) => what !== measure.what)
  const others = rest.map((what): Figure => [say(what), number(countOf(counts, what, measure.span) ?? 0)])
  const share: Figure[] = [[say('share'), percent(told / Math.max(1, total.sum))]]
  const main: Figure[] = measure.perMillion && place !== undefined ? [[say('perMillionShort'), rate(place.value ?? 0)]] : share
  return [[say(measure.what), number(told)], ...main, ...others]
}

function trendOf({ days, window }: Trend, { what }: Measure): Node[] {
  const counted = days.filter((count) => count !== null)
  const [first, last] = [number(counted[0] ?? 0), number(counted.at(-1) ?? 0)]
  const trend = say(window === 'week' ? 'trendOfWeek' : 'trendOfDay', { what: say(what) })
  return [
    make('h3', '', trend),
    make('div', 'trend', make('span', '', first), sparkline(days, say('trendSaid', { trend, first, last })), make('span', '', last)),
  ]
}

function rowOf({ version, build, installs }: Build, all: readonly Build[]): HTMLElement {
  const row = make('li', '', make('span', '', build === '' ? version : `${version} (${build})`))
  if (installs !== null) {
    row.append(make('span', '', number(installs)))
    row.style.setProperty('--share', `${(100 * installs) / Math.max(1, ...all.map((other) => other.installs ?? 0))}%`)
  }
  return row
}
