// The order of the tour.

import { expect, test } from 'vitest'
import { next, type Stop, stopsOf, TOP } from './stops.ts'

const STOPS = stopsOf(new Map([['es', ['DE', 'FR']], ['none', []], ['cs', ['US']]]))

test('each product is the world and then its countries; one without countries is left out', () => {
  expect(STOPS.map(({ product, country }) => `${product}/${country ?? '*'}`)).toEqual(['es/*', 'es/DE', 'es/FR', 'cs/*', 'cs/US'])
})

test('no more than the top countries are visited', () => {
  const many = [...'ABCDEFGHIJ'].map((letter) => letter + letter)
  expect(stopsOf(new Map([['es', many]]))).toHaveLength(TOP + 1)
})

test.each([1, -1] as const)('a whole round by %i visits every stop and comes back to where it began', (step) => {
  const visited = new Set<Stop | null>()
  let now = { stop: STOPS[1] ?? null, place: 1 }
  for (let count = 0; count < STOPS.length; count += 1) {
    now = next(STOPS, now.stop, now.place, step)
    visited.add(now.stop)
  }
  expect([visited.size, now.stop]).toEqual([STOPS.length, STOPS[1]])
})

test('it begins at the first stop, or backwards at the last', () => {
  expect(next(STOPS, null, 0, 1).stop).toEqual(STOPS[0])
  expect(next(STOPS, null, 0, -1).stop).toEqual(STOPS.at(-1))
})

test('a country that has left the ranking is followed by the one now in its place', () => {
  const gone = { product: 'es', country: 'GB' }
  expect(next(STOPS, gone, 2, 1)).toEqual({ stop: STOPS[2], place: 2 })
  expect(next(STOPS, gone, 2, -1)).toEqual({ stop: STOPS[1], place: 1 })
  expect(next(STOPS, gone, 99, 1).stop).toEqual(STOPS[0])
})

test('without stops it stands before nothing', () => {
  expect(next([], STOPS[0] ?? null, 3, 1)).toEqual({ stop: null, place: 0 })
})
