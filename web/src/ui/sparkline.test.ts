// Lines of days.

import { expect, test } from 'vitest'
import { runsOf } from './sparkline.ts'

test('the largest count is at the top, zero at the bottom, the days are spread evenly', () => {
  expect(runsOf([0, 5, 10])).toEqual(['0,56 150,30 300,4'])
})

test('days that were not counted interrupt the line', () => {
  expect(runsOf([1, null, 1, 1])).toEqual(['0,4', '200,4 300,4'])
})

test.each([[[]], [[null, null]]])('%j has no line', (days) => {
  expect(runsOf(days)).toEqual([])
})

test('nothing but zeros is a line at the bottom, and one day a point', () => {
  expect([runsOf([0, 0]), runsOf([7])]).toEqual([['0,56 300,56'], ['0,4']])
})
