// Order and sums of countries.

import { expect, test } from 'vitest'
import { USUAL } from '../measure.ts'
import type { Counts } from './messages.ts'
import { ALL, countsOf, ranking, total } from './ranking.ts'
import { LiveState } from './state.ts'

const installs = (count: number): Counts => [0, 0, 0, count, 2 * count, 0]
const FEW: Counts = [null, null, null, null, null, null]

test('the most come first, equal ones by code, and those with none are left out', () => {
  const counts = new Map([['FR', installs(2)], ['DE', installs(7)], ['AT', installs(2)], ['US', installs(0)]])
  expect(ranking(counts, USUAL, {}).map(({ country, rank }) => [country, rank])).toEqual([['DE', 1], ['AT', 2], ['FR', 3]])
})

test('those with few come behind, the unknown last, both without a rank', () => {
  const counts = new Map([['ZZ', installs(9)], ['FJ', FEW], ['AT', installs(6)], ['AD', FEW]])
  expect(ranking(counts, USUAL, {}).map(({ country, rank }) => [country, rank])).toEqual([['AT', 1], ['AD', 0], ['FJ', 0], ['ZZ', 0]])
})

test('per million inhabitants a small country comes before a large one, and one of unknown size is left out', () => {
  const counts = new Map([['DE', installs(7)], ['IS', installs(2)], ['ZZ', installs(5)]])
  const found = ranking(counts, { ...USUAL, perMillion: true }, { DE: 80e6, IS: 400_000 })
  expect(found.map(({ country, value }) => [country, value])).toEqual([['IS', 5], ['DE', 0.0875]])
})

test('all products together are the sum of each country, as far as it is told', () => {
  const state = new LiveState()
  state.receive({
    type: 'snapshot', epoch: 'a', seq: 1, today: '2026-11-22', products: [], builds: [],
    countries: [['es', 'DE', 1, 2, 3, 4, 5, 6], ['cs', 'DE', 1, 1, 1, 1, 1, 1], ['cs', 'ZZ', 1, 0, 0, 0, 0, 0], ['es', 'FR', ...FEW], ['cs', 'FR', null, null, null, 6, 7, 8]],
  })
  const sums = countsOf(state, ALL)
  expect(sums.get('DE')).toEqual([2, 3, 4, 5, 6, 7])
  expect(sums.get('FR')).toEqual([null, null, null, 6, 7, 8])
  expect([total(sums, 'installs', 'today'), total(sums, 'users', '30d')]).toEqual([{ sum: 3, more: true }, { sum: 13, more: false }])
  expect(countsOf(state, 'nobody').size).toBe(0)
})
