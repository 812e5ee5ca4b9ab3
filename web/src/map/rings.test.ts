// Whether a point lies in an outline.

import { expect, test } from 'vitest'
import { inside, type Ring } from './rings.ts'

const HOOK: Ring = [[0, 0], [10, 0], [10, 10], [8, 10], [8, 2], [0, 2], [0, 0]]

test.each<[number, number, boolean]>([[1, 1, true], [9, 9, true], [4, 6, false], [-1, 1, false], [11, 5, false], [5, -1, false]])(
  'the hook and (%d, %d)',
  (x, y, within) => {
    expect(inside(HOOK, x, y)).toBe(within)
    expect(inside(HOOK.slice(0, -1), x, y)).toBe(within)
  },
)

test('nothing lies in no outline', () => {
  expect(inside([], 0, 0)).toBe(false)
})
