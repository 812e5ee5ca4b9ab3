// Classes of values.

import { describe, expect, test } from 'vitest'
import { bounds, CLASSES, classOf } from './colours.ts'

test('nothing has no class, the largest value has the last', () => {
  expect(classOf(0, bounds(10, true))).toBe(-1)
  for (const most of [1, 2, 10, 999, 1e6]) expect(classOf(most, bounds(most, true))).toBe(CLASSES - 1)
  for (const most of [0.02, 0.9, 7, 12_345.6]) expect(classOf(most, bounds(most, false))).toBe(CLASSES - 1)
})

describe.each([true, false])('whole: %s', (whole) => {
  test('more never has a lower class', () => {
    const from = bounds(1_500, whole)
    const classes = [...Array(2_000).keys()].map((count) => classOf(count, from))
    expect(classes).toEqual([...classes].sort((a, b) => a - b))
  })

  test.each([10, 63, 64, 999, 4_095, 1_000_000])('with %i at most, each bound of the legend begins its class', (most) => {
    const from = bounds(most, whole)
    from.forEach((value, place) => {
      if (value === from[place + 1] || value === 0) return
      expect(classOf(value, from)).toBe(place)
      expect(classOf(value * 0.999, from)).toBeLessThan(Math.max(1, place))
    })
  })
})
