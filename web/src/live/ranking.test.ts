// Order and sums of countries.

import { expect, test } from 'vitest'
import type { Counts } from './messages.ts'
import { ALL, countsOf, ranking, total } from './ranking.ts'
import { LiveState } from './state.ts'

const installs = (count: number): Counts => [0, 0, 0, count, 2 * count, 0]

test('the most installs come first, equal ones by code, and those with none are left out', () => {
  const counts = new Map([['FR', installs(2)], ['DE', installs(7)], ['AT', installs(2)], ['US', installs(0)]])
  expect(ranking(counts).map(({ country, rank }) => [country, rank])).toEqual([['DE', 1], ['AT', 2], ['FR', 3]])
})

test('all products together are the sum of each country', () => {
  const state = new LiveState()
  state.receive({
    type: 'snapshot', epoch: 'a', seq: 1, today: '2026-11-22', products: [], builds: [],
    countries: [['es', 'DE', 1, 2, 3, 4, 5, 6], ['cs', 'DE', 1, 1, 1, 1, 1, 1], ['cs', 'ZZ', 1, 0, 0, 0, 0, 0]],
  })
  const sums = countsOf(state, ALL)
  expect(sums.get('DE')).toEqual([2, 3, 4, 5, 6, 7])
  expect(total(sums)).toEqual([3, 3, 4, 5, 6, 7])
  expect(countsOf(state, 'nobody').size).toBe(0)
})
