// The countries as the map draws them, made once from the atlas: paths, main lands, places for pulses.

import { geoArea, geoCentroid, geoContains } from 'd3-geo'
import type { MultiPolygon, Polygon, Position } from 'geojson'
import { feature } from 'topojson-client'
import type { Atlas } from '../../atlas/countries.ts'
import { type Point, POINTS } from '../../atlas/points.ts'
import { type Box, size } from './box.ts'
import { boxOf, mainLand } from './mainland.ts'
import { boundsOf, project, trace } from './projection.ts'
import { inside, type Ring } from './rings.ts'
import { Tracer } from './tracer.ts'

// Of coarse paths, in the plane's units: half a pixel where the world is as wide as a screen of 2,000. It halves the
// time that a frame of the whole world takes.
const COARSE = 0.25

/** A country of the map. `path` is null where there is but a dot, and `coarse` is the path for views of the world. */
export interface Country {
  readonly code: string | null
  readonly path: Path2D | null
  readonly coarse: Path2D | null
  readonly box: Box
  readonly main: Box
  /** How large its largest part is, in the plane's units: of Fiji that is an island, however far the others lie. */
  readonly largest: number
  /** The middle of its largest part: where its dot and its pulses are, in the plane. */
  readonly middle: readonly [x: number, y: number]
  readonly rings: readonly Ring[]
}

interface Piece { readonly shape: Polygon; readonly box: Box; readonly area: number }

/** All countries, those with codes and the areas without. */
export function countriesOf(atlas: Atlas): Country[] {
  const pieces = feature(atlas, atlas.objects.countries).features.flatMap(({ id, geometry }, number) =>
    piecesOf(geometry as Polygon | MultiPolygon).map((piece) => {
      const code = ownerOf(piece) ?? (id === undefined ? null : String(id))
      return { ...piece, code, group: code ?? `area ${number}` }
    }),
  )
  const groups = new Map<string, typeof pieces>()
  for (const piece of pieces) groups.set(piece.group, [...(groups.get(piece.group) ?? []), piece])
  const shapes = [...groups.values()].map(drawn)
  const there = new Set(shapes.map(({ code }) => code))
  const dots = Object.entries(POINTS).filter(([code]) => !there.has(code))
  return [...shapes, ...dots.map(([code, point]) => dotted(code, point))]
}

/** The code of a piece that is drawn as part of another country: French Guiana lies in France's shape. */
function ownerOf({ shape, box }: Piece): string | undefined {
  const found = Object.entries(POINTS).find(([, [lon, lat]]) => {
    const [x, y] = project(lon, lat)
    return x >= box.left && x <= box.right && y >= box.top && y <= box.bottom && geoContains(shape, [lon, lat])
  })
  return found?.[0]
}

function drawn(pieces: readonly (Piece & { readonly code: string | null })[]): Country {
  const main = mainLand(pieces)
  const code = main[0].code
  const shape: MultiPolygon = { type: 'MultiPolygon', coordinates: pieces.map((piece) => piece.shape.coordinates) }
  const [path, coarse] = [new Tracer(0), new Tracer(COARSE)]
  trace(shape, path)
  trace(shape, coarse)
  const rings = main.map(({ shape: { coordinates } }) => (coordinates[0] ?? []).map(planar))
  const middle = planar(geoCentroid(main[0].shape))
  return { code, path: path.path, coarse: coarse.path, box: boundsOf(shape), main: boxOf(main), largest: size(main[0].box), middle, rings }
}

function dotted(code: string, [lon, lat]: Point): Country {
  const [x, y] = project(lon, lat)
  const box = { left: x, right: x, top: y, bottom: y }
  return { code, path: null, coarse: null, box, main: box, largest: 0, middle: [x, y], rings: [] }
}

function piecesOf(shape: Polygon | MultiPolygon): Piece[] {
  const all = shape.type === 'Polygon' ? [shape.coordinates] : shape.coordinates
  return all.map((coordinates) => {
    const piece: Polygon = { type: 'Polygon', coordinates }
    return { shape: piece, box: boundsOf(piece), area: geoArea(piece) }
  })
}

function planar(position: Position): [number, number] {
  return project(position[0] ?? NaN, position[1] ?? NaN)
}

/** A random place on the main land, or its middle where none is found soon (small or odd shapes). */
export function placeIn(country: Country, random: () => number): readonly [x: number, y: number] {
  const { left, top, right, bottom } = country.main
  for (let tries = 0; tries < 8 && size(country.main) > 0; tries += 1) {
    const [x, y] = [left + random() * (right - left), top + random() * (bottom - top)]
    if (country.rings.some((ring) => inside(ring, x, y))) return [x, y]
  }
  return country.middle
}
