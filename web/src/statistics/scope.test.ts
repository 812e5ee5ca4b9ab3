// What an address says.

import { expect, test } from 'vitest'
import { daysBefore, daysOf, filtersOf, isCountedBy, isOnly, keyOf, oneOf, paramsOf, spanOf, WINDOWS } from './scope.ts'

const span = (query: string) => spanOf(new URLSearchParams(query))
const never = (): Promise<string> => { throw new Error('asked') }

test.each([
  ['', { preset: '30' }], ['range=7', { preset: '7' }], ['range=8', { preset: '30' }], ['from=2026-11-01&to=2026-11-02', { from: '2026-11-01', to: '2026-11-02' }],
  ['from=2026-11-01', { preset: '30' }], ['from=x&to=y&range=365', { preset: '365' }],
])('%j is about %j', (query, expected) => {
  expect(span(query)).toEqual(expected)
})

test.each(['', 'range=90', 'from=2026-01-01&to=2026-02-01'])('%j is the same after the address', (query) => {
  const said = Object.entries(paramsOf(span(query))).filter(([, value]) => value !== null) as [string, string][]
  expect(span(new URLSearchParams(said).toString())).toEqual(span(query))
})

test('the last days end with the last that is counted; the usual ones are the server’s own', async () => {
  expect(await daysOf({ preset: '7' }, async () => '2026-03-03')).toEqual({ from: '2026-02-25', to: '2026-03-03' })
  expect(await daysOf({ preset: '30' }, never)).toEqual({})
  expect(await daysOf({ from: '2026-01-01', to: '2026-01-02' }, never)).toEqual({ from: '2026-01-01', to: '2026-01-02' })
})

test('a day before is a day, whatever clocks do', () => {
  expect([daysBefore('2026-03-29', 1), daysBefore('2028-03-01', 1), daysBefore('2026-01-01', 1)]).toEqual(['2026-03-28', '2028-02-29', '2025-12-31'])
})

test('filters that are empty are none', () => {
  expect(filtersOf(new URLSearchParams('version=1.0&country=&x=1&customer=A%26B'))).toEqual({ version: '1.0', customer: 'A&B' })
})

test('what is no choice is the usual one', () => {
  expect([oneOf('week', WINDOWS, 'month'), oneOf('x', WINDOWS, 'month'), oneOf(null, WINDOWS, 'month')]).toEqual(['week', 'month', 'month'])
})

test.each([['/products/es', 'es'], ['/products/es/', 'es'], ['/products/a%2Fb%20c', 'a/b c'], ['/products/%', '%']])('the key of %s is %s', (path, key) => {
  expect(keyOf(path)).toBe(key)
})

test('summaries tell two dimensions apart, builds without any other, licenses all', () => {
  const [one, two] = [{ country: 'FR' }, { country: 'FR', os: 'linux' }]
  expect([isCountedBy(one), isCountedBy(one, 'version'), isCountedBy(two), isCountedBy(two, 'os'), isCountedBy({ version: '1' }, 'build')]).toEqual([true, true, true, true, true])
  expect([isCountedBy(two, 'version'), isCountedBy({ ...two, version: '1' }), isCountedBy(one, 'build')]).toEqual([false, false, false])
  expect(isCountedBy({ ...two, version: '1', license: '3' }, 'build')).toBe(true)
  expect([isOnly({}), isOnly({ version: '1' }, 'version'), isOnly({ version: '1' }), isOnly({ customer: 'x' }, 'version')]).toEqual([true, true, false, false])
})
