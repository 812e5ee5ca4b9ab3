// The upper canvas: a ring that grows and fades wherever pings have just arrived.

import type { Palette } from './palette.ts'
import type { Layer, Lie } from './stage.ts'

const LASTS_MS = 1_500
const LARGEST_PX = 22
// More can't be told apart, and each costs: what comes beyond them is in the numbers, and not drawn.
export const MOST = 60
// A country that sends without a pause must not take the places of all others, and pulses on calmly.
export const MOST_OF_ONE = 3
// The server sends four messages a second: the pings of one are spread over the time to the next.
const SPREAD_MS = 250

interface Pulse { readonly code: string; readonly x: number; readonly y: number; readonly begins: number; readonly strength: number }

/** How many rings stand for `launches` at once, and how strong each is (1 … 2): a hundred are not a hundred rings. */
export function ringsOf(launches: number): { readonly rings: number; readonly strength: number } {
  return { rings: Math.min(MOST_OF_ONE, Math.ceil(Math.log2(launches + 1))), strength: 1 + Math.min(1, Math.log10(launches) / 3) }
}

export class Pulses {
  private readonly layer: Layer
  private pulses: Pulse[] = []
  private drawn = false

  constructor(layer: Layer) {
    this.layer = layer
  }

  get count(): number {
    return this.pulses.length
  }

  /** Add rings of a country at places of the plane; beyond the most there may be, of it or in all, none. */
  add(code: string, launches: number, place: () => readonly [x: number, y: number], ms: number): void {
    this.pulses = this.pulses.filter(({ begins }) => ms - begins < LASTS_MS)
    const { rings, strength } = ringsOf(launches)
    const free = Math.min(MOST - this.pulses.length, MOST_OF_ONE - this.pulses.filter((pulse) => pulse.code === code).length)
    for (let ring = 0; ring < Math.min(rings, free); ring += 1) {
      const [x, y] = place()
      this.pulses.push({ code, x, y, begins: ms + Math.random() * SPREAD_MS, strength })
    }
  }

  /** Draw those of time `ms`; returns whether any is left. */
  draw(lie: Lie, palette: Palette, ms: number): boolean {
    this.pulses = this.pulses.filter(({ begins }) => ms - begins < LASTS_MS)
    if (this.pulses.length === 0 && !this.drawn) return false
    const { layer } = this
    layer.inPixels()
    layer.context.clearRect(0, 0, layer.width, layer.height)
    for (const pulse of this.pulses) this.ring(pulse, lie, palette, (ms - pulse.begins) / LASTS_MS)
    this.drawn = this.pulses.length > 0
    return this.drawn
  }

  private ring({ x, y, strength }: Pulse, lie: Lie, { pulse, pulseEdge }: Palette, age: number): void {
    const { context } = this.layer
    if (age < 0) return
    const [left, top] = [x * lie.scale + lie.left, y * lie.scale + lie.top]
    const fade = (1 - age) ** 2
    context.beginPath()
    context.arc(left, top, 2 + LARGEST_PX * strength * (1 - (1 - age) ** 3), 0, 2 * Math.PI)
    // A ring of the opposite lightness below: it is seen on any land.
    context.strokeStyle = `rgba(${pulseEdge}, ${0.5 * fade})`
    context.lineWidth = 3 + 2 * fade
    context.stroke()
    context.strokeStyle = `rgba(${pulse}, ${0.95 * fade})`
    context.lineWidth = 1 + 1.5 * fade
    context.stroke()
    context.beginPath()
    context.arc(left, top, 2.4, 0, 2 * Math.PI)
    context.fillStyle = `rgba(${pulse}, ${Math.min(1, 1.6 * (1 - age))})`
    context.fill()
  }
}
