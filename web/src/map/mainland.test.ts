// What a view of a country shows: by rule, and on the real shapes.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { geoArea } from 'd3-geo'
import type { MultiPolygon, Polygon } from 'geojson'
import { feature } from 'topojson-client'
import { describe, expect, test } from 'vitest'
import { withCodes } from '../../atlas/countries.ts'
import { type Box, holds, size, width } from './box.ts'
import { boxOf, mainLand } from './mainland.ts'
import { boundsOf, project, WORLD_WIDTH } from './projection.ts'

const box = (left: number, top: number, side: number): Box => ({ left, top, right: left + side, bottom: top + side })

describe('by rule', () => {
  const home = { box: box(0, 0, 10), area: 100 }
  test.each([
    ['a large part far away is in', { box: box(50, 0, 6), area: 30 }, 2],
    ['a small part far away is not', { box: box(50, 0, 1), area: 1 }, 1],
    ['a small part beside it is in', { box: box(10, 5, 1), area: 1 }, 2],
  ])('%s', (_what, part, parts) => {
    expect(mainLand([part, home])).toHaveLength(parts)
    expect(mainLand([part, home])[0]).toBe(home)
  })

  test('many small parts together make the frame grow no further than one of them may', () => {
    const chain = [...Array(30).keys()].map((place) => ({ box: box(10 + place, 0, 0.5), area: 1 }))
    expect(size(boxOf(mainLand([home, ...chain])))).toBeLessThanOrEqual(11.1)
  })

  test('no part is no country', () => {
    expect(() => mainLand([])).toThrow(RangeError)
  })
})

describe('on the real shapes', () => {
  const source = createRequire(import.meta.url).resolve('world-atlas/countries-50m.json')
  const atlas = withCodes(JSON.parse(readFileSync(source, 'utf8')))
  const mains = new Map(
    feature(atlas, atlas.objects.countries).features.flatMap(({ id, geometry }): [string, Box][] =>
      id === undefined ? [] : [[String(id), mainOf(geometry as Polygon | MultiPolygon)]],
    ),
  )

  test.each<[string, string, number, number, boolean]>([
    ['FR', 'Paris', 2.35, 48.86, true],
    ['FR', 'Corsica', 9.1, 42.1, true],
    ['FR', 'French Guiana', -53.1, 3.9, false],
    ['US', 'Kansas', -98, 38.5, true],
    ['US', 'Alaska', -150, 64, false],
    ['US', 'Hawaii', -155.5, 19.6, false],
    ['NO', 'Oslo', 10.7, 59.9, true],
    ['NO', 'Svalbard', 16, 78.6, false],
    ['RU', 'Moscow', 37.6, 55.8, true],
    ['RU', 'Chukotka, beyond 180 degrees', -173, 66.5, true],
    ['FJ', 'Suva', 178.4, -18.1, true],
    ['SG', 'Singapore', 103.82, 1.35, true],
    ['NZ', 'Auckland', 174.8, -36.9, true],
    ['NZ', 'Dunedin', 170.5, -45.9, true],
    ['ES', 'Canary Islands', -16.6, 28.3, false],
    ['PT', 'Azores', -25.5, 37.8, false],
    ['EC', 'Galapagos', -91, -0.6, false],
    ['CL', 'Easter Island', -109.4, -27.1, false],
    ['MY', 'Kuala Lumpur', 101.7, 3.1, true],
    ['MY', 'Sabah', 116.5, 5.5, true],
    ['JP', 'Sapporo', 141.3, 43.1, true],
    ['GB', 'Belfast', -5.9, 54.6, true],
    ['ID', 'Papua', 138, -4, true],
  ])('%s: %s', (code, _where, lon, lat, there) => {
    const [x, y] = project(lon, lat)
    const main = mains.get(code)
    expect(main).toBeDefined()
    expect(main && holds(main, { left: x, right: x, top: y, bottom: y })).toBe(there)
  })

  test('the edge of the projection tears no country in two: only the largest are wide', () => {
    const wide = [...mains].filter(([, main]) => width(main) > 0.2 * WORLD_WIDTH).map(([code]) => code)
    expect(wide.sort()).toEqual(['AQ', 'RU'])
  })
})

function mainOf(shape: Polygon | MultiPolygon): Box {
  const all = shape.type === 'Polygon' ? [shape.coordinates] : shape.coordinates
  const parts = all.map((coordinates) => {
    const part: Polygon = { type: 'Polygon', coordinates }
    return { box: boundsOf(part), area: geoArea(part) }
  })
  return boxOf(mainLand(parts))
}
