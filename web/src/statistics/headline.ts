// The headline numbers of a product, and the chart of the one that is chosen.

import { setParams } from '../shell/address.ts'
import { csvUrl, get } from '../shell/api.ts'
import { choices } from '../shell/choices.ts'
import { defined } from '../shell/definitions.ts'
import { button, type Content, make } from '../shell/dom.ts'
import { moment, number, percent, short } from '../shell/format.ts'
import { chart } from './charts/chart.ts'
import { alone, changeOf, type Wish } from './compared.ts'
import type { Compared, Count, Measure, Series, Summary } from './model.ts'
import { MEASURES, WINDOWS } from './scope.ts'
import { nothing, pathOf, section, type Section, type View } from './section.ts'

interface Found { readonly summary: Summary; readonly series: Series }

const WINDOW_WORDS = { day: 'on the last day', week: 'over 7 days', month: 'over 30 days' } as const

/** The section; `told` hears the summary, of which the head of the page shows the name. */
export function headline(told: (summary: Summary) => void): Section {
  return section<Found>({
    title: 'At a glance', about: 'active-installs', heights: [6, 18],
    also: (view) => [view.measure, view.window],
    controls: (view) => choices('Counted over', WINDOWS, view.window, (window) => setParams({ window: window === 'month' ? null : window })),
    load: async (view, signal) => {
      const [summary, series] = await Promise.all([
        get<Summary>(pathOf(view), view.params, signal), get<Series>(pathOf(view, 'series'), asked(view), signal),
      ])
      told(summary)
      return { summary, series }
    },
    show,
  })
}

// Launches are counted by day alone.
const asked = (view: View) => ({ ...view.params, measure: view.measure, window: view.measure === 'launches' ? 'day' : view.window })

function show({ summary, series }: Found, view: View): Content[] {
  const name = MEASURES.find(([measure]) => measure === view.measure)?.[1] ?? ''
  const before = view.isCompared ? series.before : []
  const isEmpty = ![...series.total, ...before].some((count) => count)
  const over = view.measure === 'launches' ? 'each day' : view.window === 'day' ? 'each day' : WINDOW_WORDS[view.window]
  const layers = [
    ...(view.isCompared ? [{ name: 'Period before', colour: 'var(--series-rest)', counts: before, isFaint: true }] : []),
    { name, colour: 'var(--series-1)', counts: series.total },
  ]
  const picture = isEmpty ? nothing() : chart({
    title: name, subtitle: `${view.words}, ${over}`, description: described(name, series), days: series.days, layers, isStacked: false,
    axis: short, value: (layer, place) => number(layer.counts[place]), csv: csvUrl(pathOf(view, 'series'), asked(view)),
  })
  return [figures(summary, view), picture, standing(summary)]
}

function described(name: string, series: Series): string {
  const known = series.total.filter((count) => count !== null)
  const [first, last] = [known[0] ?? null, known.at(-1) ?? null]
  return `${name}: ${number(first)} on the first day, ${number(last)} on the last, at most ${number(known.length === 0 ? null : Math.max(...known))}. ` +
    'Arrow keys read each day; the period before is a dashed line, if there is one.'
}

function figures(summary: Summary, view: View): HTMLElement {
  const values: Readonly<Record<Measure, Compared>> = { installs: summary.installs[view.window], users: summary.users[view.window], launches: summary.launches }
  const chosen = MEASURES.map(([measure, name]) => {
    const value = view.isCompared ? values[measure] : alone(values[measure])
    const show = button('', 'figure', () => setParams({ measure: measure === 'installs' ? null : measure }))
    show.setAttribute('aria-pressed', String(measure === view.measure))
    const note = measure === 'launches' ? 'in these days' : WINDOW_WORDS[view.window]
    show.append(make('span', { class: 'label' }, name), make('span', { class: 'value' }, number(value.now)), line(value, note))
    return make('li', {}, show)
  })
  const told = (value: Compared | null): Compared | null => (value === null || view.isCompared ? value : alone(value))
  const other = [
    figure('New', 'new-returned-and-lost', told(summary.new), 'more'), figure('Returned', 'new-returned-and-lost', told(summary.returned), 'more'),
    figure('Lost', 'new-returned-and-lost', told(summary.lost), 'fewer'),
    still('Median age', 'median-age', summary.median_age_days, summary.median_age_days === 1 ? 'day' : 'days'),
    still('Unverified', 'unverified', summary.unverified, 'left out on the last day'),
  ]
  return make('ul', { class: 'figures', 'aria-label': 'Headline numbers' }, ...chosen, ...other)
}

const line = (value: Compared, note: string, wish: Wish = 'more'): HTMLElement =>
  make('span', { class: 'beside' }, changeOf(value.now, value.before, wish), make('span', { class: 'note' }, note))

function figure(name: string, anchor: string, value: Compared | null, wish: Wish): HTMLElement | null {
  if (value === null) return null
  return make('li', { class: 'figure' }, make('span', { class: 'label' }, defined(name, anchor)), make('span', { class: 'value' }, number(value.now)), line(value, 'in these days', wish))
}

function still(name: string, anchor: string, value: Count, note: string): HTMLElement | null {
  if (value === null) return null
  return make('li', { class: 'figure' }, make('span', { class: 'label' }, defined(name, anchor)), make('span', { class: 'value' }, number(value)), make('span', { class: 'note' }, note))
}

function standing(summary: Summary): Content {
  const when = summary.counted_at === null ? '' : `Counted ${moment(summary.counted_at)}. `
  return make(
    'p', { class: 'note' }, `${when}What the numbers are: `, defined('active installs', 'active-installs'), ', ', defined('users', 'users'), ', ',
    defined('launches', 'launches'), '. Days are UTC.',
  )
}

/** How far behind installs are, as bars with their numbers. */
export function behind(): Section {
  return section<Summary>({
    title: 'Versions behind', about: 'versions-behind', heights: [12],
    load: (view, signal) => get<Summary>(pathOf(view), view.params, signal),
    show: (summary) => {
      const rows = summary.versions_behind
      const sum = rows.reduce((all, row) => all + row.installs, 0)
      if (sum === 0) return [nothing()]
      return [make('ul', { class: 'bars' }, ...rows.map((row) => bar(steps(row.behind), row.installs, row.installs / sum)))]
    },
  })
}

const steps = (count: number | null): string => (count === null ? 'Not comparable' : count === 0 ? 'Up to date' : `${number(count)} behind`)

function bar(name: string, installs: number, share: number): HTMLElement {
  const filled = make('i')
  filled.style.width = `${100 * share}%`
  return make('li', {}, make('span', {}, name), make('span', { class: 'bar', 'aria-hidden': 'true' }, filled), make('span', { class: 'number' }, `${number(installs)} · ${percent(share)}`))
}
