// What d3-geo draws, into a Path2D; with fewer points for views in which more could not be seen.

import type { GeoContext } from 'd3-geo'

/** Passes on lines of at least `step` in x or y (0: all of them), and every beginning and end. */
export class Tracer implements GeoContext {
  readonly path = new Path2D()
  private readonly step: number
  private x = NaN
  private y = NaN

  constructor(step: number) {
    this.step = step
  }

  beginPath(): void {}

  moveTo(x: number, y: number): void {
    this.path.moveTo(x, y)
    this.x = x
    this.y = y
  }

  lineTo(x: number, y: number): void {
    if (Math.abs(x - this.x) < this.step && Math.abs(y - this.y) < this.step) return
    this.path.lineTo(x, y)
    this.x = x
    this.y = y
  }

  arc(x: number, y: number, radius: number, startAngle: number, endAngle: number): void {
    this.path.arc(x, y, radius, startAngle, endAngle)
  }

  closePath(): void {
    this.path.closePath()
  }
}
