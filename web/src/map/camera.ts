// Which part of the plane is seen, and the way from one part to another.

import { easeCubicInOut } from 'd3-ease'
import { interpolateZoom } from 'd3-interpolate'
import { type Box, centre, height, width } from './box.ts'

/** A view: its middle and how wide the free part of the screen is, in units of the plane. */
export interface View { readonly x: number; readonly y: number; readonly width: number }

// Air around a country, so that one sees where it lies.
const AIR = 1.5
// A small country in its surroundings: about 12 degrees of longitude.
const SMALLEST_WIDTH = 34
// However far the way, people wait for its end; however short, they want to follow it.
const SHORTEST_MS = 1_200
const LONGEST_MS = 3_200

/** The view that shows a box on a free part of the screen `aspect` times as wide as high. */
export function viewOf(box: Box, aspect: number, air = AIR): View {
  const [x, y] = centre(box)
  return { x, y, width: Math.max(SMALLEST_WIDTH, width(box) * air, height(box) * air * aspect) }
}

/** What a view shows on the free part of the screen. */
export function frameOf(view: View, aspect: number): Box {
  const [w, h] = [view.width / 2, view.width / aspect / 2]
  return { left: view.x - w, right: view.x + w, top: view.y - h, bottom: view.y + h }
}

/** The camera: stands still, or flies along the smoothest way (van Wijk and Nuij, 2003), speeding up and down. */
export class Camera {
  private flight: { at(share: number): View; begun: number; took: number } | null = null
  private now: View

  constructor(view: View) {
    this.now = view
  }

  get view(): View {
    return this.now
  }

  get moving(): boolean {
    return this.flight !== null
  }

  /** Be there at once. */
  jump(to: View): void {
    this.flight = null
    this.now = to
  }

  /** Begin to fly, at time `ms`. */
  fly(to: View, ms: number): void {
    const from = this.now
    const way = interpolateZoom([from.x, from.y, from.width], [to.x, to.y, to.width])
    const took = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, way.duration * 1.3))
    const at = (share: number): View => {
      const [x, y, w] = way(easeCubicInOut(share))
      return { x, y, width: w }
    }
    this.flight = { at, begun: ms, took }
  }

  /** Go on to time `ms`; returns whether the view has changed. */
  tick(ms: number): boolean {
    if (this.flight === null) return false
    const share = Math.min(1, (ms - this.flight.begun) / this.flight.took)
    this.now = this.flight.at(Math.max(0, share))
    if (share === 1) this.flight = null
    return true
  }
}
