// How far releases have come, and how fast.

import { csvUrl, get } from '../shell/api.ts'
import { setParams } from '../shell/address.ts'
import { button, make } from '../shell/dom.ts'
import { day, number, text, UNKNOWN } from '../shell/format.ts'
import { type Column, table } from '../shell/table.ts'
import { shareCell } from './breakdowns.ts'
import type { ReleaseRow, Releases } from './model.ts'
import { isCountedBy } from './scope.ts'
import { nothing, pathOf, section, type Section } from './section.ts'

// As many as the API gives at once; versions are some dozens.
const LIMIT = 1000
const days = (count: number | null): string => (count === null ? UNKNOWN : count === 1 ? '1 day' : `${number(count)} days`)

const COLUMNS: readonly Column<ReleaseRow>[] = [
  {
    name: 'Version', about: 'release', sort: (row) => row.version,
    cell: (row) => (row.version === '' ? text(row.version) : button(row.version, 'pick', () => setParams({ version: row.version }))),
  },
  {
    name: 'Since', sort: (row) => row.day,
    cell: (row) => make('span', { class: 'nowrap' }, day(row.day), row.source === 'seen' ? make('span', { class: 'note', title: 'Nobody registered it: the first day on which it was seen' }, ' (seen)') : null),
  },
  { name: 'Installs', about: 'active-installs', isNumber: true, sort: (row) => row.installs, cell: (row) => number(row.installs) },
  { name: 'Share', about: 'share', isNumber: true, sort: (row) => row.share, cell: (row) => shareCell(row.share) },
  { name: 'This or newer', isNumber: true, sort: (row) => row.share_or_newer, cell: (row) => shareCell(row.share_or_newer) },
  { name: 'To 50 %', about: 'time-to-half-of-the-installs', isNumber: true, sort: (row) => row.days_to_50, cell: (row) => days(row.days_to_50) },
  { name: 'To 90 %', about: 'time-to-half-of-the-installs', isNumber: true, sort: (row) => row.days_to_90, cell: (row) => days(row.days_to_90) },
]

/** The section. */
export function releases(): Section {
  return section<Releases>({
    title: 'Releases', about: 'release', heights: [2, 2, 2, 2, 2], isCounted: (view) => isCountedBy(view.filters, 'version'),
    load: (view, signal) => get<Releases>(pathOf(view, 'releases'), { ...view.params, limit: LIMIT }, signal),
    show: (found, view) => (found.rows.length === 0 ? [nothing()] : [table({
      caption: `Releases, ${view.words}`, isCaptionUnseen: true, columns: COLUMNS, rows: found.rows, most: 10, csv: csvUrl(pathOf(view, 'releases'), view.params),
    })]),
  })
}
