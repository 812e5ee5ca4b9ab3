// Of the installs that came in a month: how many are still there in each month after.

import { csvUrl, get } from '../shell/api.ts'
import { type Content, make } from '../shell/dom.ts'
import { month, number, percent } from '../shell/format.ts'
import { type Column, table } from '../shell/table.ts'
import type { Cohort } from './model.ts'
import { isOnly } from './scope.ts'
import { nothing, pathOf, section, type Section } from './section.ts'

const SHOWN = 13
// The strongest tint on which text still has a contrast of 4.5, in light and in dark.
const STRONGEST = 38

/** The section. */
export function cohorts(): Section {
  return section<{ readonly cohorts: readonly Cohort[] }>({
    title: 'Retention', about: 'cohort', heights: [2, 2, 2, 2, 2], isCounted: (view) => isOnly(view.filters),
    load: (view, signal) => get(pathOf(view, 'cohorts'), view.params, signal),
    show: (found, view) => {
      const rows = found.cohorts.filter((cohort) => cohort.installs > 0).slice(-SHOWN)
      if (rows.length === 0) return [nothing()]
      const months = Math.min(SHOWN, Math.max(...rows.map((row) => row.active.length)))
      const later = Array.from({ length: months }, (_, place): Column<Cohort> => ({
        name: place === 0 ? 'Its month' : place === 1 ? '1 month later' : `+ ${place}`, isNumber: true, cell: (row) => heat(row, place),
      }))
      return [
        make('p', { class: 'note' }, 'Installs by the month in which they were first seen, and the share of them that was active in each month after. The last month is still running.'),
        table({
          caption: `Retention, ${view.words}`, isCaptionUnseen: true, rows, csv: csvUrl(pathOf(view, 'cohorts'), view.params), columns: [
            { name: 'First seen', cell: (row) => month(row.month) },
            { name: 'Installs', about: 'cohort', isNumber: true, cell: (row) => number(row.installs) }, ...later,
          ],
        }),
      ]
    },
  })
}

function heat(row: Cohort, place: number): Content {
  const active = row.active[place]
  if (active === undefined) return ''
  const share = active / row.installs
  const cell = make('span', { class: 'heat', title: `${number(active)} of ${number(row.installs)}` }, percent(share))
  cell.style.setProperty('--heat', `${Math.round(Math.min(1, share) * STRONGEST)}%`)
  return cell
}
