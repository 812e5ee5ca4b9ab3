// From which version to which installs went: a chart of the flows that are largest, and all of them as a table.

import { csvUrl, get } from '../shell/api.ts'
import { make } from '../shell/dom.ts'
import { number, percent, text } from '../shell/format.ts'
import { type Column, table } from '../shell/table.ts'
import { flowChart } from './charts/flow.ts'
import type { UpdateRow, Updates } from './model.ts'
import { isOnly } from './scope.ts'
import { nothing, pathOf, section, type Section } from './section.ts'

// As many as the API gives at once, those with the most installs; the CSV has all.
const LIMIT = 1000
const DIRECTIONS = { upgrade: 'Upgrade', downgrade: 'Downgrade', same: 'Neither' } as const

/** The section. */
export function updates(): Section {
  return section<Updates>({
    title: 'Updates', about: 'update', heights: [14, 2, 2, 2], isCounted: (view) => isOnly(view.filters, 'version'),
    load: (view, signal) => get<Updates>(pathOf(view, 'updates'), { ...view.params, limit: LIMIT }, signal),
    show: (found, view) => (found.rows.length === 0 ? [nothing()] : [make(
      'div', { class: 'halves' }, flowChart(found.rows, view.words), table({
        caption: `Updates, ${view.words}`, isCaptionUnseen: true, columns: columns(found.sum), rows: found.rows, most: 10,
        csv: csvUrl(pathOf(view, 'updates'), view.params), foot: ['All updates', '', '', number(found.sum), ''],
      }),
    )]),
  })
}

function columns(sum: number): readonly Column<UpdateRow>[] {
  return [
    { name: 'From', sort: (row) => row.from, cell: (row) => text(row.from) },
    { name: 'To', sort: (row) => row.to, cell: (row) => text(row.to) },
    { name: 'Direction', about: 'update', sort: (row) => row.direction, cell: (row) => DIRECTIONS[row.direction] },
    { name: 'Updates', isNumber: true, sort: (row) => row.installs, cell: (row) => number(row.installs) },
    { name: 'Share', isNumber: true, sort: (row) => row.installs, cell: (row) => percent(row.installs / sum) },
  ]
}
