// Small lines.

import { expect, test } from 'vitest'
import { runsOf } from './spark.ts'

test('the largest count is at the top, zero at the bottom, the days are spread evenly', () => {
  expect(runsOf([0, 5, 10])).toEqual(['0.0,29.0 60.0,16.0 120.0,3.0'])
})

test('days that were not counted interrupt the line', () => {
  expect(runsOf([1, null, 1]).length).toBe(2)
})
