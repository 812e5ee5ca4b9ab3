// How many rings stand for how many pings.

import { expect, test } from 'vitest'
import { MOST, MOST_OF_ONE, Pulses, ringsOf } from './pulses.ts'
import type { Layer } from './stage.ts'

const pulses = (): Pulses => new Pulses({} as Layer)
const here = (): [number, number] => [0, 0]

test.each([[1, 1], [2, 2], [3, 2], [4, 3], [100, 3], [100_000, 3]])('%i launches are %i rings', (launches, rings) => {
  expect(ringsOf(launches).rings).toBe(rings)
})

test('more launches are stronger, and never more than twice as strong', () => {
  const strengths = [1, 10, 100, 10_000].map((launches) => ringsOf(launches).strength)
  expect(strengths).toEqual([...strengths].sort((a, b) => a - b))
  expect([strengths[0], Math.max(...strengths)]).toEqual([1, 2])
})

test('a country that never stops has but a few, and leaves room for others', () => {
  const many = pulses()
  for (let ms = 0; ms < 1_000; ms += 10) many.add('DE', 100, here, ms)
  expect(many.count).toBe(MOST_OF_ONE)
  many.add('FJ', 1, here, 1_000)
  expect(many.count).toBe(MOST_OF_ONE + 1)
})

test('a flood from everywhere never piles up, and when it is over there is room again', () => {
  const many = pulses()
  for (let code = 0; code < 5_000; code += 1) many.add(String(code), 9, here, code / 10)
  expect(many.count).toBe(MOST)
  many.add('FJ', 1, here, 60_000)
  expect(many.count).toBe(1)
})
