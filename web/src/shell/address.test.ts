// The address of a page.

import { expect, test } from 'vitest'
import { withParams } from './address.ts'

test('a parameter is set in its place, taken away by null, and others stay', () => {
  const before = new URLSearchParams('range=90&country=FR&x=1')
  expect(withParams(before, { country: 'DE', range: null })).toBe('?country=DE&x=1')
  expect(before.get('country')).toBe('FR')
})

test('without any there is no question mark', () => {
  expect(withParams(new URLSearchParams('a=1'), { a: '' })).toBe('')
})

test('whatever a version is, it comes back as it was', () => {
  const version = '<img src=x onerror=alert(1)>&a=b #+%'
  expect(new URLSearchParams(withParams(new URLSearchParams(), { version })).get('version')).toBe(version)
})
