// The upper canvas: a ring that grows and fades wherever pings have just arrived.

import type { Layer, Lie } from './stage.ts'

const LASTS_MS = 1_500
const LARGEST_PX = 22
// More can't be told apart, and each costs: what comes beyond them is in the numbers, and not drawn.
const MOST = 80
// The server sends four messages a second: the pings of one are spread over the time to the next.
const SPREAD_MS = 250

const DARK = '11, 19, 34'

interface Pulse { readonly x: number; readonly y: number; readonly begins: number; readonly strength: number }

/** How many rings stand for `launches` at once, and how strong each is (1 … 2): a hundred are not a hundred rings. */
export function ringsOf(launches: number): { readonly rings: number; readonly strength: number } {
  return { rings: Math.min(3, Math.ceil(Math.log2(launches + 1))), strength: 1 + Math.min(1, Math.log10(launches) / 3) }
}

export class Pulses {
  private readonly layer: Layer
  private readonly colour: string
  private pulses: Pulse[] = []
  private drawn = false

  constructor(layer: Layer, colour: string) {
    this.layer = layer
    this.colour = colour
  }

  get count(): number {
    return this.pulses.length
  }

  /** Add rings at places of the plane; beyond the most there may be, none. */
  add(launches: number, place: () => readonly [x: number, y: number], ms: number): void {
    const { rings, strength } = ringsOf(launches)
    for (let ring = 0; ring < rings && this.pulses.length < MOST; ring += 1) {
      const [x, y] = place()
      this.pulses.push({ x, y, begins: ms + Math.random() * SPREAD_MS, strength })
    }
  }

  /** Draw those of time `ms`; returns whether any is left. */
  draw(lie: Lie, ms: number): boolean {
    this.pulses = this.pulses.filter(({ begins }) => ms - begins < LASTS_MS)
    if (this.pulses.length === 0 && !this.drawn) return false
    const { layer, colour } = this
    const { context } = layer
    layer.inPixels()
    context.clearRect(0, 0, layer.width, layer.height)
    for (const { x, y, begins, strength } of this.pulses) {
      const age = (ms - begins) / LASTS_MS
      if (age < 0) continue
      const [left, top] = [x * lie.scale + lie.left, y * lie.scale + lie.top]
      const fade = (1 - age) ** 2
      context.beginPath()
      context.arc(left, top, 2 + LARGEST_PX * strength * (1 - (1 - age) ** 3), 0, 2 * Math.PI)
      // A dark ring below the bright one: it is seen on the brightest land too.
      context.strokeStyle = `rgba(${DARK}, ${0.5 * fade})`
      context.lineWidth = 3 + 2 * fade
      context.stroke()
      context.strokeStyle = `rgba(${colour}, ${0.9 * fade})`
      context.lineWidth = 1 + 1.5 * fade
      context.stroke()
      context.beginPath()
      context.arc(left, top, 2.2, 0, 2 * Math.PI)
      context.fillStyle = `rgba(${colour}, ${Math.min(1, 1.6 * (1 - age))})`
      context.fill()
    }
    this.drawn = this.pulses.length > 0
    return this.drawn
  }
}
