// The list of countries beside the map.

import { INSTALLS } from '../live/messages.ts'
import type { Ranked } from '../live/ranking.ts'
import { byId, make, setText } from './dom.ts'
import { countryName, number } from './words.ts'

interface Row { readonly button: HTMLButtonElement; readonly place: HTMLElement; readonly name: HTMLElement; readonly count: HTMLElement }

// A wall shows some 25; beyond 100 nobody scrolls, and the rest is summed up.
const MOST = 100

export class RankingList {
  private readonly list = byId<HTMLOListElement>('ranking')
  private readonly others = byId('others')
  private readonly rows: Row[] = []
  private readonly choose: (country: string) => void
  private shown: string | null = null

  constructor(choose: (country: string) => void) {
    this.choose = choose
  }

  /** Show countries in order, and which of them the tour is at. */
  show(ranked: readonly Ranked[], current: string | null): void {
    const visible = ranked.slice(0, MOST)
    const most = visible[0]?.counts[INSTALLS] ?? 1
    while (this.rows.length < visible.length) this.add()
    this.rows.splice(visible.length).forEach(({ button }) => button.parentElement?.remove())
    visible.forEach(({ country, counts, rank }, index) => {
      const row = this.rows[index]
      if (row === undefined) return
      const installs = counts[INSTALLS]
      row.button.dataset['country'] = country
      row.button.dataset['installs'] = String(installs)
      row.button.style.setProperty('--share', `${(100 * installs) / most}%`)
      setText(row.place, rank === 0 ? '' : String(rank))
      setText(row.name, countryName(country))
      setText(row.count, number(installs))
      if (country === current) row.button.setAttribute('aria-current', 'true')
      else row.button.removeAttribute('aria-current')
    })
    const left = ranked.length - visible.length
    setText(this.others, left > 0 ? `and ${number(left)} more` : '')
    if (current !== this.shown) this.reveal(current)
    this.shown = current
  }

  private reveal(country: string | null): void {
    const row = this.rows.find(({ button }) => button.dataset['country'] === country)
    const panel = this.list.parentElement
    // Only the panel scrolls: on a phone, the page stays where the reader has it.
    if (row === undefined || panel === null || panel.scrollHeight <= panel.clientHeight) return
    const top = row.button.offsetTop - panel.clientHeight / 2
    panel.scrollTo({ top, behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' })
  }

  private add(): void {
    const [place, name, count] = [make('span', 'place'), make('span', 'name'), make('span', 'count')]
    const button = make('button', '', place, name, count)
    button.type = 'button'
    button.addEventListener('click', () => this.choose(button.dataset['country'] ?? ''))
    this.list.append(make('li', '', button))
    this.rows.push({ button, place, name, count })
  }
}
