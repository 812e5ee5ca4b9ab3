// Classes of values.

import { describe, expect, test } from 'vitest'
import { boundsOfCounts, boundsOfRates, CLASSES, classOf } from './colours.ts'

test('nothing has no class, the largest value has the last', () => {
  expect(classOf(0, boundsOfCounts(10))).toBe(-1)
  for (const most of [1, 2, 10, 999, 1e6]) expect(classOf(most, boundsOfCounts(most))).toBe(CLASSES - 1)
  for (const rates of [[0.02], [0.9, 7], [12_345.6, 3, 9.99]]) expect(classOf(Math.max(...rates), boundsOfRates(rates))).toBe(CLASSES - 1)
})

test('more never has a lower class', () => {
  for (const from of [boundsOfCounts(1_500), boundsOfRates([0.1, 3, 4, 5, 200, 1_500])]) {
    const classes = [...Array(2_000).keys()].map((count) => classOf(count, from))
    expect(classes).toEqual([...classes].sort((a, b) => a - b))
  }
})

describe('counts', () => {
  test.each([10, 63, 64, 999, 4_095, 1_000_000])('with %i at most, each bound of the legend begins its class', (most) => {
    const from = boundsOfCounts(most)
    from.forEach((value, place) => {
      if (value === from[place + 1]) return
      expect(classOf(value, from)).toBe(place)
      expect(classOf(value - 1, from)).toBeLessThan(Math.max(1, place))
    })
  })
})

describe('rates', () => {
  test('each class has its share of the countries, though one is far off', () => {
    const rates = [...Array(60).keys()].map((place) => 10 + place / 10).concat(4_000)
    const sizes = PLACES.map((place) => rates.filter((rate) => classOf(rate, boundsOfRates(rates)) === place).length)
    for (const size of sizes) expect(size).toBeGreaterThanOrEqual(6)
  })

  test.each([[[0.0123, 0.456, 7.89]], [[99.9, 100.1]], [[5]], [[]]])('bounds of %j have two digits and are no more than what begins there', (rates) => {
    for (const bound of boundsOfRates(rates)) {
      expect(bound).toBe(Number(bound.toPrecision(2)))
      expect(bound).toBeLessThanOrEqual(Math.max(0, ...rates))
    }
  })
})

const PLACES = [...Array(CLASSES).keys()]
