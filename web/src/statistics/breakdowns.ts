// What is in use: versions and builds, countries, systems; a row narrows the page down to it.

import { setParams } from '../shell/address.ts'
import { csvUrl, get } from '../shell/api.ts'
import { choices } from '../shell/choices.ts'
import { button, type Content, make } from '../shell/dom.ts'
import { country, number, percent, text } from '../shell/format.ts'
import { type Column, table } from '../shell/table.ts'
import { changeOf } from './compared.ts'
import type { Breakdown, BreakdownRow, Dimension } from './model.ts'
import { isCountedBy } from './scope.ts'
import { nothing, pathOf, section, type Section, type View } from './section.ts'

const LIMIT = 100
const SHOWN = 10
const NAMES: Readonly<Record<Dimension, string>> = { version: 'Version', build: 'Build', country: 'Country', os: 'System' }

/** A value as people call it. */
export const nameOf = (by: Dimension, value: string): string => (by === 'country' ? country(value) : text(value))

/** The section of countries or systems. */
export function places(title: string, by: 'country' | 'os', about: string): Section {
  return breakdown(title, about, () => by)
}

/** The section of versions, or of builds. */
export function inUse(): Section {
  return breakdown('In use', 'build-in-use', (view) => view.inUse, (view) =>
    choices('Told apart by', [['version', 'Versions'], ['build', 'Builds']], view.inUse, (chosen) => setParams({ inuse: chosen === 'version' ? null : chosen })))
}

function breakdown(title: string, about: string, byOf: (view: View) => Dimension, controls?: (view: View) => HTMLElement): Section {
  const load = (view: View, offset: number, signal?: AbortSignal): Promise<Breakdown> =>
    get<Breakdown>(pathOf(view, 'breakdown'), { ...view.params, by: byOf(view), window: view.window, limit: LIMIT, offset }, signal)
  return section<Breakdown>({
    title, about, heights: [2, 2, 2, 2, 2, 2], isCounted: (view) => isCountedBy(view.filters, byOf(view)), also: (view) => [byOf(view), view.window], ...(controls === undefined ? {} : { controls }),
    load: (view, signal) => load(view, 0, signal),
    show: (found, view) => {
      if (found.rows.length === 0) return [nothing()]
      const place = make('div')
      const turn = (shown: Breakdown, offset: number): void => {
        place.replaceChildren(tableOf(title, byOf(view), shown, view, offset, (to) => void load(view, to).then((next) => turn(next, to), () => turn(shown, offset))))
      }
      turn(found, 0)
      return [place]
    },
  })
}

function tableOf(title: string, by: Dimension, found: Breakdown, view: View, offset: number, go: (offset: number) => void): HTMLElement {
  return table({
    caption: `${title}, ${view.words}`, isCaptionUnseen: true, columns: columns(by, view.isCompared), rows: found.rows, most: SHOWN,
    csv: csvUrl(pathOf(view, 'breakdown'), { ...view.params, by, window: view.window }),
    paging: { offset, limit: LIMIT, total: found.total, next: found.next, go },
    foot: ['Sum', number(found.sum.installs), '', '', number(found.sum.users)],
  })
}

function columns(by: Dimension, isCompared: boolean): readonly Column<BreakdownRow>[] {
  return [
    { name: NAMES[by], sort: (row) => nameOf(by, row.value), cell: (row) => nameCell(by, row) },
    { name: 'Installs', about: 'active-installs', isNumber: true, sort: (row) => row.installs, cell: (row) => number(row.installs) },
    { name: 'Share', about: 'share', isNumber: true, sort: (row) => row.share, cell: (row) => shareCell(row.share) },
    { name: 'Change', isNumber: true, sort: (row) => (row.before === null ? null : row.installs - row.before), cell: (row) => (isCompared ? changeOf(row.installs, row.before, 'neither') : null) ?? '' },
    { name: 'Users', about: 'users', isNumber: true, sort: (row) => row.users, cell: (row) => number(row.users) },
  ]
}

function nameCell(by: Dimension, row: BreakdownRow): Content {
  const name = nameOf(by, row.value)
  const param = by === 'build' ? 'version' : by
  const pick = button(name, 'pick', () => setParams({ [param]: row.value }))
  pick.title = `Only ${name}`
  // A version that was sent empty can't be asked for.
  const chosen = row.value === '' ? make('span', {}, name) : pick
  return by === 'build' ? make('span', {}, chosen, ' ', make('span', { class: 'note' }, text(row.build))) : chosen
}

/** A share with a bar of its size. */
export function shareCell(share: number | null): Content {
  const bar = make('span', { class: 'share', 'aria-hidden': 'true' }, make('i'))
  if (bar.firstElementChild instanceof HTMLElement) bar.firstElementChild.style.width = `${100 * (share ?? 0)}%`
  return make('span', {}, bar, make('span', { class: 'percent' }, percent(share)))
}
