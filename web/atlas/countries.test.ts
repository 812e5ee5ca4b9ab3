// Every country code there is can be drawn.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { project, WORLD_WIDTH } from '../src/map/projection.ts'
import { allCodes, withCodes } from './countries.ts'
import { POINTS } from './points.ts'

const source = createRequire(import.meta.url).resolve('world-atlas/countries-50m.json')
const atlas = withCodes(JSON.parse(readFileSync(source, 'utf8')))
const shapes = atlas.objects.countries.geometries.flatMap(({ id }) => (id === undefined ? [] : [String(id)]))

test('there are the 249 codes of ISO 3166-1, and XK', () => {
  expect(allCodes()).toHaveLength(250)
  expect(allCodes()).toContain('XK')
})

test('each code has a shape or a point, and none has both or two', () => {
  expect([...shapes, ...Object.keys(POINTS)].sort()).toEqual(allCodes())
})

test.each(Object.entries(POINTS))('the point of %s is on the map', (_code, [lon, lat]) => {
  const [x, y] = project(lon, lat)
  expect(x > 0 && x < WORLD_WIDTH && Number.isFinite(y)).toBe(true)
})
