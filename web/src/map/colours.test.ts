// Classes of counts.

import { expect, test } from 'vitest'
import { bounds, CLASSES, classOf, colourOf, LAND } from './colours.ts'

test('no installs have no class, the largest count has the last', () => {
  expect([classOf(0, 10), colourOf(0, 10)]).toEqual([-1, LAND])
  for (const most of [1, 2, 10, 999, 1e6]) expect(classOf(most, most)).toBe(CLASSES.length - 1)
})

test('more installs never have a lower class', () => {
  const classes = [...Array(2_000).keys()].map((count) => classOf(count, 1_500))
  expect(classes).toEqual([...classes].sort((a, b) => a - b))
})

test.each([10, 63, 64, 999, 4_095, 1_000_000])('with %i at most, each bound of the legend begins its class', (most) => {
  const from = bounds(most)
  from.forEach((count, place) => {
    if (count === from[place + 1]) return
    expect(classOf(count, most)).toBe(place)
    if (count > 1) expect(classOf(count - 1, most)).toBeLessThan(place)
  })
})
