// What is told of the country that the tour is at, and of a product as a whole.

import { type Counts, INSTALLS, LAUNCHES_TODAY, USERS } from '../live/messages.ts'
import type { Build } from '../live/state.ts'
import { byId, make } from './dom.ts'
import { countryName, number, percent } from './words.ts'

/** A country at a stop of the tour; `rank` is 0 where it has no active install. */
export interface Facts {
  readonly country: string
  readonly rank: number
  readonly counts: Counts
  readonly total: Counts
  readonly builds: readonly Build[]
}

function figures(name: string, rows: readonly (readonly [what: string, value: string])[]): HTMLElement {
  return make('dl', name, ...rows.map(([what, value]) => make('div', '', make('dt', '', what), make('dd', '', value))))
}

/** Show the product's name and its totals. */
export function showHead(name: string, total: Counts): void {
  byId('product').textContent = name
  const rows = figures('', [
    ['active installs', number(total[INSTALLS])],
    ['users', number(total[USERS])],
    ['launches today', number(total[LAUNCHES_TODAY])],
  ])
  byId('totals').replaceChildren(...rows.children)
}

/** Show a country, or nothing. */
export function showCard(facts: Facts | null): void {
  const card = byId('card')
  card.hidden = facts === null
  if (facts === null) return
  const { country, rank, counts, total, builds } = facts
  const title = make('h3', '', countryName(country))
  if (rank > 0) title.append(make('span', 'rank', `No. ${number(rank)}`))
  const parts: Node[] = [title, figures('figures', [
    ['active installs', number(counts[INSTALLS])],
    ['of all', percent(counts[INSTALLS] / Math.max(1, total[INSTALLS]))],
    ['users', number(counts[USERS])],
    ['launches today', number(counts[LAUNCHES_TODAY])],
  ])]
  if (builds.length > 0) {
    const rows = builds.map(({ version, build, installs }) =>
      make('li', '', make('span', '', build === '' ? version : `${version} (${build})`), make('span', '', number(installs))))
    parts.push(make('h4', '', 'Builds in use, all countries'), make('ul', '', ...rows))
  }
  card.replaceChildren(...parts)
  card.dataset['country'] = country
}
