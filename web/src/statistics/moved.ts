// New, returned and lost installs day by day.

import { csvUrl, get } from '../shell/api.ts'
import { number, short } from '../shell/format.ts'
import { chart } from './charts/chart.ts'
import type { Moved } from './model.ts'
import { isOnly } from './scope.ts'
import { nothing, pathOf, section, type Section } from './section.ts'

/** The section. */
export function moved(): Section {
  return section<Moved>({
    title: 'New, returned and lost', about: 'new-returned-and-lost', heights: [18], isCounted: (view) => isOnly(view.filters),
    load: (view, signal) => get<Moved>(pathOf(view, 'moved'), view.params, signal),
    show: (found, view) => {
      const layers = [
        { name: 'New', colour: 'var(--series-1)', counts: found.new }, { name: 'Returned', colour: 'var(--series-6)', counts: found.returned },
        { name: 'Lost', colour: 'var(--series-2)', counts: found.lost },
      ]
      if (!layers.some((layer) => layer.counts.some((count) => count > 0))) return [nothing()]
      const sum = (counts: readonly number[]): string => number(counts.reduce((all, count) => all + count, 0))
      return [chart({
        title: 'New, returned and lost installs', subtitle: view.words, days: found.days, layers, isStacked: false, axis: short,
        description: `${sum(found.new)} new, ${sum(found.returned)} returned and ${sum(found.lost)} lost in these days. Arrow keys read each day.`,
        value: (layer, place) => number(layer.counts[place]), csv: csvUrl(pathOf(view, 'moved'), view.params),
      })]
    },
  })
}
