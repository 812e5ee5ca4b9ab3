// The list of countries beside the map.

import type { Ranked } from '../live/ranking.ts'
import { byId, make, setText } from './dom.ts'
import { countryName, number, rate, say } from './words.ts'

interface Row {
  readonly button: HTMLButtonElement
  readonly place: HTMLElement
  readonly name: HTMLElement
  readonly count: HTMLElement
  /** How long its bar is: set only where that changes, or a hundred rows are laid out four times a second. */
  share: string
}

/** What the list is of. */
export interface Listed {
  readonly ranked: readonly Ranked[]
  /** Which country the tour is at. */
  readonly current: string | null
  readonly title: string
  /** Whether the values are rates, not counts. */
  readonly rates: boolean
  readonly floor: number | null
}

// Beyond 100 nobody scrolls, and the rest is summed up.
export const LIST_ROWS = 100

export class RankingList {
  private readonly list = byId<HTMLOListElement>('ranking')
  private readonly others = byId('others')
  private readonly rows: Row[] = []
  private readonly choose: (country: string) => void
  private readonly most: number
  private shown: string | null = null

  /** At most so many rows: a screen on a wall is not scrolled. */
  constructor(choose: (country: string) => void, most: number) {
    this.choose = choose
    this.most = most
  }

  /** Show countries in order. */
  show({ ranked, current, title, rates, floor }: Listed): void {
    const visible = ranked.slice(0, this.most)
    const most = visible[0]?.value ?? 1
    setText(byId('ranking-title'), title)
    while (this.rows.length < visible.length) this.add()
    this.rows.splice(visible.length).forEach(({ button }) => button.parentElement?.remove())
    visible.forEach(({ country, value, rank }, index) => {
      const row = this.rows[index]
      if (row === undefined) return
      row.button.dataset['country'] = country
      row.button.dataset['value'] = value === null ? 'few' : String(value)
      const share = `${((100 * (value ?? 0)) / most).toFixed(1)}%`
      if (share !== row.share) row.button.style.setProperty('--share', (row.share = share))
      setText(row.place, rank === 0 ? '' : String(rank))
      setText(row.name, countryName(country))
      setText(row.count, value === null ? `< ${number(floor ?? 0)}` : rates ? rate(value) : number(value))
      if (country === current) row.button.setAttribute('aria-current', 'true')
      else row.button.removeAttribute('aria-current')
    })
    const left = ranked.length - visible.length
    setText(this.others, [...(left > 0 ? [say('more', { count: number(left) })] : []), ...(rates ? [say('large')] : [])].join(' · '))
    if (current !== this.shown) this.reveal(current)
    this.shown = current
  }

  private reveal(country: string | null): void {
    const row = this.rows.find(({ button }) => button.dataset['country'] === country)
    const panel = byId('rows')
    // Only the panel scrolls: on a phone, the page stays where the reader has it.
    if (row === undefined || panel.scrollHeight <= panel.clientHeight) return
    const top = row.button.offsetTop - panel.clientHeight / 2
    panel.scrollTo({ top, behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' })
  }

  private add(): void {
    const [place, name, count] = [make('span', 'place'), make('span', 'name'), make('span', 'count')]
    const button = make('button', '', place, name, count)
    button.type = 'button'
    button.addEventListener('click', () => this.choose(button.dataset['country'] ?? ''))
    this.list.append(make('li', '', button))
    this.rows.push({ button, place, name, count, share: '' })
  }
}
