// Numbers and days as they are shown; the tests' language is that of the machine, so separators are left out.

import { expect, test } from 'vitest'
import { change, country, dateOf, number, percent, text, UNKNOWN } from './format.ts'

test('what is not known is a dash, zero is zero', () => {
  expect([number(null), percent(undefined), number(0)]).toEqual([UNKNOWN, UNKNOWN, '0'])
})

test('a share that is there is never 0 %', () => {
  expect(percent(0.0001)).toContain('<')
  expect(percent(0)).not.toContain('<')
})

test.each([
  [110, 100, '+10'], [90, 100, '10'], [5, 0, 'new'], [0, 0, null], [null, 5, null], [5, null, null],
])('%j after %j is %j', (now, before, said) => {
  const found = change(now, before)
  if (said === null) expect(found).toBeNull()
  else expect(found).toContain(said)
})

test('a day begins in UTC, wherever the viewer is; a month on its first day', () => {
  expect([dateOf('2026-11-30').toISOString(), dateOf('2026-11').toISOString()]).toEqual(['2026-11-30T00:00:00.000Z', '2026-11-01T00:00:00.000Z'])
})

test('a code that is no country stays as it is', () => {
  expect([country('ZZ'), country('?'), text('')]).toEqual(['Unknown', '?', '(none)'])
})
