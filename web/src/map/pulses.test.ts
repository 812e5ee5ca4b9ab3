// How many rings stand for how many launches.

import { expect, test } from 'vitest'
import { ringsOf } from './pulses.ts'

test.each([[1, 1], [2, 2], [3, 2], [4, 3], [100_000, 3]])('%i launches are %i rings', (launches, rings) => {
  expect(ringsOf(launches).rings).toBe(rings)
})

test('more launches make stronger rings, up to twice as strong', () => {
  const strengths = [1, 10, 100, 1_000, 1e6].map((launches) => ringsOf(launches).strength)
  expect(strengths).toEqual([...strengths].sort((a, b) => a - b))
  expect([strengths[0], strengths.at(-1)]).toEqual([1, 2])
})
