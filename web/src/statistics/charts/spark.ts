// A small line of a number over days.

import { draw } from '../../shell/dom.ts'
import type { Count } from '../model.ts'

const [WIDTH, HEIGHT, AIR] = [120, 32, 3]

/** The points of the line, for each run of days that were counted; zero is at the bottom. */
export function runsOf(counts: readonly Count[]): string[] {
  const most = Math.max(1, ...counts.map((count) => count ?? 0))
  const step = counts.length > 1 ? WIDTH / (counts.length - 1) : 0
  const runs: string[][] = [[]]
  counts.forEach((count, place) => {
    if (count === null) runs.push([])
    else runs.at(-1)?.push(`${(place * step).toFixed(1)},${(HEIGHT - AIR - (count / most) * (HEIGHT - 2 * AIR)).toFixed(1)}`)
  })
  return runs.filter((run) => run.length > 0).map((run) => run.join(' '))
}

/** A picture of it. The numbers themselves are in the page of the product. */
export function spark(counts: readonly Count[], label: string): SVGElement {
  const lines = runsOf(counts).map((points) => draw('polyline', { points, fill: 'none', stroke: 'var(--series-1)', 'stroke-width': 2, 'stroke-linejoin': 'round', 'vector-effect': 'non-scaling-stroke' }))
  return draw('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, class: 'spark', role: 'img', 'aria-label': label }, ...lines)
}
