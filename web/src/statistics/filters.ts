// What the page is narrowed down to: chips that can be taken away, and a chooser for more.

import { setParams } from '../shell/address.ts'
import { get } from '../shell/api.ts'
import { button, make } from '../shell/dom.ts'
import { country } from '../shell/format.ts'
import { nameOf } from './breakdowns.ts'
import type { Breakdown } from './model.ts'
import { type Filter, FILTERS } from './scope.ts'
import { pathOf, type View } from './section.ts'

const NAMES: Readonly<Record<Filter, string>> = { version: 'Version', country: 'Country', os: 'System', license: 'License', customer: 'Customer' }
const CHOSEN = ['version', 'country', 'os'] as const
// As many as the API gives at once.
const LIMIT = 1000

/** The filters as words, for charts and captions. */
export const filterWords = (filters: View['filters']): string[] =>
  FILTERS.flatMap((name) => (filters[name] === undefined ? [] : [valueWords(name, filters[name])]))

const valueWords = (name: Filter, value: string): string =>
  name === 'country' ? country(value) : name === 'license' ? `license ${value}` : value

/** The bar of chips and the chooser. */
export function filterBar(view: View): HTMLElement {
  const chips = FILTERS.flatMap((name) => {
    const value = view.filters[name]
    return value === undefined ? [] : [chip(name, value)]
  })
  const all = chips.length < 2 ? null : button('Take all away', 'quiet', () => setParams(Object.fromEntries(FILTERS.map((name) => [name, null]))))
  return make('div', { class: 'row filters', role: 'group', 'aria-label': 'Filters' }, ...chips, all, chooser(view))
}

function chip(name: Filter, value: string): HTMLElement {
  const words = `${NAMES[name]}: ${name === 'country' ? country(value) : value}`
  const away = button('×', 'away', () => setParams({ [name]: null }))
  away.setAttribute('aria-label', `Take away ${words}`)
  return make('span', { class: 'chip' }, words, away)
}

function chooser(view: View): HTMLElement {
  const kind = make('select', { 'aria-label': 'Add a filter' }, make('option', { value: '' }, 'Add a filter …'))
  for (const name of CHOSEN) kind.append(make('option', { value: name }, NAMES[name]))
  const value = make('select', { hidden: true })
  kind.addEventListener('change', () => {
    const name = CHOSEN.find((each) => each === kind.value)
    value.hidden = name === undefined
    if (name !== undefined) void offer(view, name, value)
  })
  value.addEventListener('change', () => setParams({ [kind.value]: value.value }))
  return make('span', { class: 'row unprinted' }, kind, value)
}

async function offer(view: View, name: (typeof CHOSEN)[number], value: HTMLSelectElement): Promise<void> {
  value.setAttribute('aria-label', NAMES[name])
  value.replaceChildren(make('option', { value: '' }, 'Loading …'))
  const { from, to } = view.params
  try {
    const found = await get<Breakdown>(pathOf(view, 'breakdown'), { from, to, by: name, limit: LIMIT })
    const rows = found.rows.filter((row) => row.value !== '')
    value.replaceChildren(
      make('option', { value: '' }, rows.length === 0 ? 'Nothing to choose' : 'Choose …'),
      ...rows.map((row) => make('option', { value: row.value }, nameOf(name, row.value))),
    )
    value.focus()
  } catch {
    value.replaceChildren(make('option', { value: '' }, 'Could not be loaded'))
  }
}
