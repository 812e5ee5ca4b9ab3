// The lower canvas: sea, countries in their colours, dots. Drawn anew where the view or the numbers have changed.

import { geoGraticule10 } from 'd3-geo'
import type { Country } from './atlas.ts'
import { overlap } from './box.ts'
import type { Palette } from './palette.ts'
import { trace } from './projection.ts'
import { type Layer, type Lie, seen } from './stage.ts'
import { Tracer } from './tracer.ts'

// Below so many pixels per unit of the plane, all points could not be told apart.
const COARSE_BELOW = 4
// A country of which no part is larger than that on the screen has a dot, or nobody would see it.
const SMALL_PX = 7
const DOT_PX = 3.5

export interface Picture {
  readonly lie: Lie
  readonly palette: Palette
  /** The colour of each country that has counts. */
  readonly colours: ReadonlyMap<string, string>
  /** The country that the tour shows. */
  readonly shown: string | null
}

export class Land {
  private readonly layer: Layer
  private readonly countries: readonly Country[]
  private readonly grid: Path2D

  constructor(layer: Layer, countries: readonly Country[]) {
    this.layer = layer
    this.countries = countries
    const grid = new Tracer(0)
    trace(geoGraticule10(), grid)
    this.grid = grid.path
  }

  draw(picture: Picture): void {
    const { layer } = this
    const { context } = layer
    const view = seen(picture.lie, layer.width, layer.height)
    const visible = this.countries.filter(({ box }) => overlap(box, view))
    layer.inPixels()
    context.fillStyle = picture.palette.sea
    context.fillRect(0, 0, layer.width, layer.height)
    layer.inPlane(picture.lie)
    context.lineJoin = 'round'
    context.lineWidth = 1 / picture.lie.scale
    context.strokeStyle = picture.palette.grid
    context.stroke(this.grid)
    this.fill(visible, picture)
    layer.inPixels()
    this.dots(visible, picture)
  }

  private fill(visible: readonly Country[], picture: Picture): void {
    const { context } = this.layer
    const which = picture.lie.scale < COARSE_BELOW ? 'coarse' : 'path'
    context.strokeStyle = picture.palette.border
    for (const country of visible) {
      const path = country[which]
      if (path === null) continue
      context.fillStyle = picture.colours.get(country.code ?? '') ?? picture.palette.land
      context.fill(path)
      context.stroke(path)
    }
    const shown = visible.find(({ code }) => code !== null && code === picture.shown)?.[which]
    if (!shown) return
    context.strokeStyle = picture.palette.highlight
    context.lineWidth = 2.5 / picture.lie.scale
    context.stroke(shown)
  }

  private dots(visible: readonly Country[], { lie, palette, colours, shown }: Picture): void {
    const { context } = this.layer
    for (const { code, path, largest, middle } of visible) {
      if (code === null || (path !== null && largest * lie.scale >= SMALL_PX)) continue
      const colour = colours.get(code)
      context.beginPath()
      context.arc(middle[0] * lie.scale + lie.left, middle[1] * lie.scale + lie.top, colour ? DOT_PX : 1.5, 0, 2 * Math.PI)
      context.fillStyle = colour ?? palette.land
      context.fill()
      context.strokeStyle = code === shown ? palette.highlight : palette.border
      context.lineWidth = code === shown ? 2 : 1
      context.stroke()
    }
  }
}
