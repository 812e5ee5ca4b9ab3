// A small line of a number over days.

const SPACE = 'http://www.w3.org/2000/svg'
const [WIDTH, HEIGHT, AIR] = [300, 60, 4]

/** The points of a line, `x,y` in a box of 300 × 60, for each run of days that were counted; zero is at the bottom. */
export function runsOf(days: readonly (number | null)[]): string[] {
  const most = Math.max(1, ...days.map((count) => count ?? 0))
  const step = WIDTH / Math.max(1, days.length - 1)
  const runs: string[][] = [[]]
  days.forEach((count, place) => {
    if (count === null) runs.push([])
    else runs.at(-1)?.push(`${round(place * step)},${round(HEIGHT - AIR - (count / most) * (HEIGHT - 2 * AIR))}`)
  })
  return runs.filter((run) => run.length > 0).map((run) => run.join(' '))
}

const round = (value: number): number => Math.round(10 * value) / 10

/** A picture of it, said in words as `label`. */
export function sparkline(days: readonly (number | null)[], label: string): SVGElement {
  const picture = part('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label, class: 'spark' })
  for (const run of runsOf(days)) {
    const [first, last] = [run.split(',', 1)[0] ?? '0', run.split(' ').at(-1)?.split(',')[0] ?? '0']
    picture.append(part('polygon', { points: `${first},${HEIGHT} ${run} ${last},${HEIGHT}` }), part('polyline', { points: run }))
  }
  return picture
}

function part(name: string, attributes: Readonly<Record<string, string>>): SVGElement {
  const element = document.createElementNS(SPACE, name) as SVGElement
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  return element
}
