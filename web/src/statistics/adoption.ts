// How versions take one another's place: areas upon one another.

import { setParams } from '../shell/address.ts'
import { csvUrl, get } from '../shell/api.ts'
import { choices } from '../shell/choices.ts'
import type { Content } from '../shell/dom.ts'
import { number, percent, short, text } from '../shell/format.ts'
import { chart } from './charts/chart.ts'
import { REST, SERIES } from './charts/colours.ts'
import { shares } from './charts/stack.ts'
import type { Series } from './model.ts'
import { isCountedBy } from './scope.ts'
import { nothing, pathOf, section, type Section, type View } from './section.ts'

/** The section. */
export function adoption(): Section {
  return section<Series>({
    title: 'Adoption of versions', about: 'share', heights: [18], isCounted: (view) => isCountedBy(view.filters, 'version'),
    also: (view) => [view.adoption, view.window],
    controls: (view) => choices('Shown as', [['share', 'Share'], ['count', 'Installs']], view.adoption, (chosen) => setParams({ adoption: chosen === 'share' ? null : chosen })),
    load: (view, signal) => get<Series>(pathOf(view, 'series'), asked(view), signal),
    show,
  })
}

const asked = (view: View) => ({ ...view.params, measure: 'installs', window: view.window, by: 'version', top: SERIES.length })

function show(series: Series, view: View): Content[] {
  const known = series.series.map((line, place) => ({ name: text(line.value), colour: SERIES[place] ?? REST, counts: line.counts }))
  const rest = series.others?.some((count) => count) === true ? [{ name: 'Others', colour: REST, counts: series.others }] : []
  const counted = [...known, ...rest]
  if (counted.length === 0) return [nothing()]
  const isShare = view.adoption === 'share'
  const parts = shares(counted.map((layer) => layer.counts))
  const layers = counted.map((layer, place) => ({ ...layer, counts: isShare ? (parts[place] ?? []) : layer.counts }))
  const first = known[0]
  return [chart({
    title: 'Adoption of versions', subtitle: view.words, days: series.days, layers, isStacked: true,
    description: `Active installs by version. On the last day ${first?.name ?? 'the rest'} has the most: ${number(first?.counts.at(-1) ?? null)}. Arrow keys read each day.`,
    axis: isShare ? percent : short, ...(isShare ? { most: 1 } : {}),
    value: (layer, place) => valueOf(counted.find((each) => each.name === layer.name)?.counts[place] ?? null, parts[layers.indexOf(layer as (typeof layers)[number])]?.[place] ?? null),
    csv: csvUrl(pathOf(view, 'series'), asked(view)),
  })]
}

const valueOf = (count: number | null, share: number | null): string => (share === null ? number(count) : `${number(count)} (${percent(share)})`)
