// Which number stands for a country.

import { expect, test } from 'vitest'
import type { Counts } from './live/messages.ts'
import { countOf, type Measure, SPANS, valueOf, WHATS } from './measure.ts'

const COUNTS: Counts = [1, 2, 3, 4, 5, 6]
const perMillion: Measure = { what: 'installs', span: '30d', perMillion: true }

test('each measure has a count of its own', () => {
  expect(SPANS.flatMap((span) => WHATS.map((what) => countOf(COUNTS, what, span)))).toEqual([4, 5, 6, 1, 2, 3])
})

test.each<[string, Counts, number | undefined, number | null | undefined]>([
  ['a country of two million', COUNTS, 2e6, 2],
  ['a country with few people', COUNTS, 99_999, undefined],
  ['a place without inhabitants', COUNTS, undefined, undefined],
  ['a number that is not told', [null, null, null, null, null, null], 2e6, null],
])('per million, %s', (_what, counts, inhabitants, value) => {
  expect(valueOf(counts, inhabitants, perMillion)).toBe(value)
})

test('as it is, inhabitants do not matter', () => {
  expect(valueOf(COUNTS, undefined, { ...perMillion, perMillion: false })).toBe(4)
})
