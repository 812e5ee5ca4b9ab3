// The page of one product.

import './statistics.css'
import { onAddress, query } from '../shell/address.ts'
import { ApiError, get } from '../shell/api.ts'
import { byId, make } from '../shell/dom.ts'
import { range } from '../shell/format.ts'
import { startPage } from '../shell/page.ts'
import { empty, failed } from '../shell/states.ts'
import { adoption } from './adoption.ts'
import { inUse, places } from './breakdowns.ts'
import { cohorts } from './cohorts.ts'
import { hasBefore } from './compared.ts'
import { filterBar, filterWords } from './filters.ts'
import { behind, headline } from './headline.ts'
import type { Summary } from './model.ts'
import { moved } from './moved.ts'
import { picker } from './picker.ts'
import { releases } from './releases.ts'
import { daysOf, filtersOf, keyOf, MEASURES, oneOf, spanOf, WINDOWS } from './scope.ts'
import type { View } from './section.ts'
import { updates } from './updates.ts'

const key = keyOf(location.pathname)
const main = byId('main')
const title = make('h1', {}, key)
const days = make('p', { class: 'note' }, '\u00a0')
const head = make('div', { class: 'head' })
const filters = make('div')
const trouble = make('div')
const sections = {
  headline: headline(told), adoption: adoption(), inUse: inUse(), behind: behind(), releases: releases(), updates: updates(), moved: moved(),
  countries: places('Countries', 'country', 'country'), systems: places('Systems', 'os', 'share'), cohorts: cohorts(),
}

/** Everything that the address says, and what the server has to say of it: its name, its first and its last counted day. */
async function viewOf(): Promise<View> {
  const asked = query()
  const [span, narrowed] = [spanOf(asked), filtersOf(asked)]
  const found = await daysOf(span, async () => (await summary()).to)
  const known = await summary()
  // The 30 days of the server's own choice must be the same in every answer.
  const words = found['from'] === undefined ? known : { from: String(found['from']), to: String(found['to']) }
  const name = title.textContent ?? key
  return {
    key, span, filters: narrowed, params: { from: words.from, to: words.to, ...narrowed },
    measure: oneOf(asked.get('measure'), MEASURES, 'installs'), window: oneOf(asked.get('window'), WINDOWS, 'month'),
    adoption: asked.get('adoption') === 'count' ? 'count' : 'share', inUse: asked.get('inuse') === 'build' ? 'build' : 'version',
    isCompared: hasBefore(known.first_day, words.from), words: [name, range(words.from, words.to), ...filterWords(narrowed)].join(', '),
  }
}

let usual: Promise<Summary> | null = null

/** The summary of the usual days; asked for once. */
function summary(): Promise<Summary> {
  usual ??= get<Summary>(`statistics/${encodeURIComponent(key)}`).then((found) => {
    told(found)
    return found
  })
  usual.catch(() => { usual = null })
  return usual
}

function told(found: Summary): void {
  title.textContent = found.product.name
  document.title = `${found.product.name} · callhome`
}

let turn = 0

async function refresh(): Promise<void> {
  const mine = ++turn
  head.replaceChildren(...headOf(spanOf(query()), null))
  let view: View
  try {
    view = await viewOf()
  } catch (error) {
    if (mine === turn) showTrouble(error)
    return
  }
  if (mine !== turn) return
  const shown = { from: String(view.params['from']), to: String(view.params['to']) }
  head.replaceChildren(...headOf(view.span, shown))
  days.textContent = `${range(shown.from, shown.to)}${view.isCompared ? ', compared with as many days before' : ''}`
  filters.replaceChildren(filterBar(view))
  trouble.replaceChildren()
  trouble.hidden = true
  for (const section of Object.values(sections)) {
    section.element.hidden = false
    section.update(view)
  }
}

function headOf(span: View['span'], shown: { readonly from: string; readonly to: string } | null): HTMLElement[] {
  const map = make('a', { href: `/map?product=${encodeURIComponent(key)}`, class: 'button small unprinted' }, 'On the map')
  return [make('div', {}, make('div', { class: 'row' }, title, map), days), picker(span, shown)]
}

function showTrouble(error: unknown): void {
  const isUnknown = error instanceof ApiError && error.reason === 'unknown_product'
  const shown = isUnknown
    ? empty('There is no such product', make('p', {}, 'No product is registered with the key ', make('b', {}, key), '.'), make('a', { href: '/', class: 'button' }, 'All products'))
    : failed(error, () => void refresh())
  for (const section of Object.values(sections)) section.element.hidden = true
  trouble.hidden = false
  trouble.replaceChildren(make('div', { class: 'card' }, shown))
}

const { element } = sections.headline
main.append(
  head, filters, trouble, element, sections.adoption.element,
  make('div', { class: 'halves' }, sections.inUse.element, sections.behind.element), sections.releases.element, sections.updates.element,
  make('div', { class: 'halves' }, sections.countries.element, sections.systems.element), sections.moved.element, sections.cohorts.element,
)
trouble.hidden = true
void startPage('/')
onAddress(() => void refresh())
void refresh()
