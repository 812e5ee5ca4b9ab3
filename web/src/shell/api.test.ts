// Addresses and errors of the API.

import { expect, test } from 'vitest'
import { apiUrl, csvUrl, errorOf } from './api.ts'

test('parameters are escaped, and those that say nothing are left out', () => {
  expect(apiUrl('statistics/es', { version: 'a&b', country: null, os: '', offset: 0 })).toBe('/api/v1/statistics/es?version=a%26b&offset=0')
})

test('the CSV is at the path with .csv behind it, with the same parameters', () => {
  expect(csvUrl('statistics', { from: '2026-11-01' })).toBe('/api/v1/statistics.csv?from=2026-11-01')
})

test('an error says what the server said, and which parameter is at fault', async () => {
  const error = await errorOf(Response.json({ reason: 'invalid_parameter', message: 'a UTC day', field: 'from' }, { status: 400 }))
  expect([error.status, error.reason, error.message, error.field]).toEqual([400, 'invalid_parameter', 'a UTC day', 'from'])
})

test('an error of a proxy, which isn’t JSON, has its status', async () => {
  expect((await errorOf(new Response('<html>', { status: 502 }))).message).toContain('502')
})
