// One projection of the world for all views; a view is a part of its plane.

import { geoNaturalEarth1, geoPath, type GeoContext, type GeoPermissibleObjects } from 'd3-geo'
import type { Box } from './box.ts'

/** The world's width in the plane's units. */
export const WORLD_WIDTH = 1000

// Turned so that its edge runs through the Bering Strait (169° W): no country lies on both sides of it, but for some
// islands of the Aleutians and Kiribati.
const EDGE_TURN = -11

const projection = geoNaturalEarth1().rotate([EDGE_TURN, 0]).fitWidth(WORLD_WIDTH, { type: 'Sphere' }).precision(0.2)

/** Degrees to the plane. */
export function project(lon: number, lat: number): [x: number, y: number] {
  return projection([lon, lat]) ?? [NaN, NaN]
}

/** The plane to degrees. */
export function unproject(x: number, y: number): [lon: number, lat: number] {
  return projection.invert?.([x, y]) ?? [NaN, NaN]
}

/** The bounds of a shape in the plane. */
export function boundsOf(shape: GeoPermissibleObjects): Box {
  const [[left, top], [right, bottom]] = geoPath(projection).bounds(shape)
  return { left, top, right, bottom }
}

/** Draw a shape into a path, in the plane's units. */
export function trace(shape: GeoPermissibleObjects, into: GeoContext): void {
  geoPath(projection, into)(shape)
}

/** The part of the world where people live: without the Antarctic. */
export const INHABITED: Box = {
  left: 0, right: WORLD_WIDTH,
  top: project(11, 84)[1], bottom: project(11, -58)[1],
}
