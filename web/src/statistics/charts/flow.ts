// Flows from one version to another: bands between two columns, each as thick as what flows in it.

import { button, draw, make } from '../../shell/dom.ts'
import { number, text } from '../../shell/format.ts'
import type { UpdateRow } from '../model.ts'
import { colourAt } from './colours.ts'
import { savePicture } from './picture.ts'

/** A band, and where it leaves and arrives; all of 0 … 1. */
export interface Band { readonly from: string; readonly to: string; readonly installs: number; readonly start: number; readonly end: number; readonly thick: number }

/** A version in one of the columns. */
export interface Node { readonly name: string; readonly installs: number; readonly start: number; readonly thick: number }

const FLOWS = 10
// Between two nodes, of the whole height.
const GAP = 0.04
const [WIDTH, HEIGHT, BAR, SIDE] = [520, 300, 8, 110]

/** Place the largest flows: on each side, versions one below another, those with the most first. */
export function laidOut(rows: readonly Pick<UpdateRow, 'from' | 'to' | 'installs'>[]): { readonly left: Node[]; readonly right: Node[]; readonly bands: Band[] } {
  const largest = [...rows].sort((one, other) => other.installs - one.installs).slice(0, FLOWS)
  const sum = largest.reduce((all, row) => all + row.installs, 0)
  const sides = [(row: (typeof largest)[number]) => row.from, (row: (typeof largest)[number]) => row.to] as const
  const most = Math.max(...sides.map((side) => new Set(largest.map(side)).size), 1)
  const unit = sum === 0 ? 0 : (1 - GAP * (most - 1)) / sum
  const [left, right] = sides.map((side) => column(largest.map((row) => [side(row), row.installs] as const), unit)) as [Node[], Node[]]
  const used = { left: new Map<string, number>(), right: new Map<string, number>() }
  const bands = largest.map((row) => {
    const thick = row.installs * unit
    const [start, end] = [next(left, used.left, row.from, thick), next(right, used.right, row.to, thick)]
    return { from: row.from, to: row.to, installs: row.installs, start, end, thick }
  })
  return { left, right, bands }
}

function column(flows: readonly (readonly [string, number])[], unit: number): Node[] {
  const sums = new Map<string, number>()
  for (const [name, installs] of flows) sums.set(name, (sums.get(name) ?? 0) + installs)
  let start = 0
  return [...sums].sort(([, one], [, other]) => other - one).map(([name, installs]) => {
    const node = { name, installs, start, thick: installs * unit }
    start += node.thick + GAP
    return node
  })
}

function next(nodes: readonly Node[], used: Map<string, number>, name: string, thick: number): number {
  const start = used.get(name) ?? nodes.find((node) => node.name === name)?.start ?? 0
  used.set(name, start + thick)
  return start
}

/** The chart; the table beside it has the same numbers. */
export function flowChart(rows: readonly UpdateRow[], words: string): HTMLElement {
  const title = 'Updates from version to version'
  const save = button('Save as picture', 'quiet', () => {
    savePicture(plot(rows), [WIDTH, HEIGHT], { title, subtitle: words, legend: [] }).catch(() => { save.textContent = 'The picture could not be saved' })
  })
  const svg = plot(rows)
  svg.setAttribute('role', 'img')
  svg.setAttribute('aria-label', `${title}: ${rows.slice(0, FLOWS).map((row) => `${text(row.from)} to ${text(row.to)}, ${number(row.installs)}`).join('; ')}`)
  return make('figure', { class: 'chart flow' }, make('div', { class: 'stage' }, svg), make('div', { class: 'tools unprinted' }, make('span', {}, `The ${number(Math.min(FLOWS, rows.length))} largest`), save))
}

function plot(rows: readonly UpdateRow[]): SVGSVGElement {
  const { left, right, bands } = laidOut(rows)
  const svg = draw('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, class: 'plot' })
  for (const band of bands) {
    const colour = colourAt(left.findIndex((node) => node.name === band.from))
    const path = draw('path', { d: curve(band), fill: colour, 'fill-opacity': 0.45 }, draw('title', {}, `${text(band.from)} → ${text(band.to)}: ${number(band.installs)}`))
    svg.append(path)
  }
  left.forEach((node, place) => svg.append(...nodeShapes(node, SIDE - BAR, SIDE - BAR - 8, 'end', colourAt(place))))
  for (const node of right) svg.append(...nodeShapes(node, WIDTH - SIDE, WIDTH - SIDE + BAR + 8, 'start', 'var(--soft)'))
  return svg
}

function curve({ start, end, thick }: Band): string {
  const [x1, x2, middle] = [SIDE, WIDTH - SIDE, WIDTH / 2]
  const [a, b, height] = [start * HEIGHT, end * HEIGHT, thick * HEIGHT]
  return `M${x1},${a}C${middle},${a} ${middle},${b} ${x2},${b}V${b + height}C${middle},${b + height} ${middle},${a + height} ${x1},${a + height}Z`
}

function nodeShapes(node: Node, x: number, textX: number, anchor: string, colour: string): SVGElement[] {
  const name = text(node.name)
  const middle = Math.min(HEIGHT - 4, Math.max(10, (node.start + node.thick / 2) * HEIGHT + 4))
  return [
    draw('rect', { x, y: node.start * HEIGHT, width: BAR, height: Math.max(1, node.thick * HEIGHT), fill: colour }),
    draw('text', { x: textX, y: middle, 'text-anchor': anchor, 'font-size': 12, fill: 'var(--ink)' }, name.length > 14 ? `${name.slice(0, 13)}…` : name),
  ]
}
