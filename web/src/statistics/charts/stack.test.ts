// Values upon one another.

import { expect, test } from 'vitest'
import { shares, stacked } from './stack.ts'

test('each layer begins where the one before ends', () => {
  expect(stacked([[1, 2], [3, 0], [5, 5]])).toEqual([[[0, 1], [0, 2]], [[1, 4], [2, 2]], [[4, 9], [2, 7]]])
})

test('a day of which one layer isn’t known is a gap in all', () => {
  expect(stacked([[1, 2], [null, 3]])).toEqual([[null, [0, 2]], [null, [2, 5]]])
})

test('shares of a day sum to one; a day without installs has none', () => {
  expect(shares([[1, 0], [3, 0]])).toEqual([[0.25, null], [0.75, null]])
})

test('nothing is nothing', () => {
  expect([stacked([]), shares([])]).toEqual([[], []])
})
