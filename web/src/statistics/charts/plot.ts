// Draws lines, or areas upon one another, over days.

import { scaleLinear, scaleUtc } from 'd3-scale'
import { area, line } from 'd3-shape'
import { draw } from '../../shell/dom.ts'
import { dateOf, dayShort, month } from '../../shell/format.ts'
import type { Count } from '../model.ts'
import { stacked } from './stack.ts'

/** One line or area. */
export interface Layer {
  readonly name: string
  readonly colour: string
  readonly counts: readonly Count[]
  /** Drawn thin and dashed, such as the period before. */
  readonly isFaint?: boolean
}

export interface Plot {
  readonly days: readonly string[]
  readonly layers: readonly Layer[]
  readonly isStacked: boolean
  /** How a value is written on the axis. */
  readonly axis: (value: number) => string
  /** The top of the axis, where it is known. */
  readonly most?: number
}

/** A drawing, and where on it each day is. */
export interface Drawn { readonly svg: SVGSVGElement; readonly places: readonly number[]; readonly top: number; readonly bottom: number }

const MARGIN = { top: 10, right: 12, bottom: 26, left: 48 }
const YEAR_DAYS = 200

/** Draw it, so many pixels wide and high. */
export function plotted(plot: Plot, width: number, height: number): Drawn {
  const edges = plot.isStacked ? stacked(plot.layers.map((layer) => layer.counts)) : []
  const tops = plot.isStacked ? (edges.at(-1) ?? []).map((edge) => edge?.[1] ?? 0) : plot.layers.flatMap((layer) => layer.counts.map((count) => count ?? 0))
  const most = plot.most ?? Math.max(1, ...tops)
  const [bottom, right] = [height - MARGIN.bottom, width - MARGIN.right]
  const y = scaleLinear([0, most], [bottom, MARGIN.top])
  if (plot.most === undefined) y.nice(4)
  const dates = plot.days.map(dateOf)
  const x = scaleUtc([dates[0] ?? new Date(0), dates.at(-1) ?? new Date(0)], [MARGIN.left, right])
  const places = dates.map((date) => (dates.length === 1 ? (MARGIN.left + right) / 2 : x(date)))
  const svg = draw('svg', { width, height, viewBox: `0 0 ${width} ${height}`, class: 'plot' })
  svg.append(...grid(plot, y, right), ...dayTicks(plot.days, x, places, width, bottom))
  plot.layers.forEach((layer, place) => svg.append(...shapes(layer, edges[place] ?? null, places, y)))
  return { svg, places, top: MARGIN.top, bottom }
}

type Y = ReturnType<typeof scaleLinear<number, number>>

function grid(plot: Plot, y: Y, right: number): SVGElement[] {
  const ticks = y.ticks(4).filter((tick) => plot.most !== undefined || Number.isInteger(tick))
  return ticks.flatMap((tick) => [
    draw('line', { x1: MARGIN.left, x2: right, y1: y(tick), y2: y(tick), stroke: 'var(--edge)' }),
    draw('text', { x: MARGIN.left - 8, y: y(tick) + 4, 'text-anchor': 'end', 'font-size': 12, fill: 'var(--soft)' }, plot.axis(tick)),
  ])
}

function dayTicks(days: readonly string[], x: (date: Date) => number, places: readonly number[], width: number, bottom: number): SVGElement[] {
  const label = days.length > YEAR_DAYS ? month : dayShort
  const count = Math.max(2, Math.min(days.length, Math.floor(width / 110)))
  const step = Math.max(1, Math.ceil((days.length - 1) / (count - 1)))
  const shown = days.map((_, place) => place).filter((place) => place % step === 0)
  return shown.map((place) => draw('text', {
    x: places[place] ?? x(dateOf(days[place] ?? '')), y: bottom + 19, 'font-size': 12, fill: 'var(--soft)',
    'text-anchor': place === 0 && days.length > 1 ? 'start' : (places[place] ?? 0) > width - 40 ? 'end' : 'middle',
  }, label(days[place] ?? '')))
}

function shapes(layer: Layer, edges: readonly (readonly [number, number] | null)[] | null, places: readonly number[], y: Y): SVGElement[] {
  if (edges !== null) {
    const shape = area<(typeof edges)[number]>().defined((edge) => edge !== null).x((_, day) => places[day] ?? 0)
      .y0((edge) => y(edge?.[0] ?? 0)).y1((edge) => y(edge?.[1] ?? 0))
    // A thin line of the ground between areas tells them apart without their colours.
    return [draw('path', { d: shape(edges), fill: layer.colour, stroke: 'var(--card)', 'stroke-width': 1 })]
  }
  const path = line<Count>().defined((count) => count !== null).x((_, day) => places[day] ?? 0).y((count) => y(count ?? 0))
  const dots = layer.counts.length === 1 && layer.counts[0] !== null
    ? [draw('circle', { cx: places[0] ?? 0, cy: y(layer.counts[0] ?? 0), r: 4, fill: layer.colour })] : []
  const style = layer.isFaint === true ? { 'stroke-width': 1.5, 'stroke-dasharray': '4 4' } : { 'stroke-width': 2.25 }
  return [draw('path', { d: path(layer.counts), fill: 'none', stroke: layer.colour, 'stroke-linejoin': 'round', ...style }), ...dots]
}
